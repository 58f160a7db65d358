"""The entry point of the container: `python entrypoint.py` is `grpo-job run`."""

# The signal handler is imported and installed before all else: a signal may come at any time.
# isort: off
import sys

from grpo_job.runtime.signals import Interruption
from grpo_job.outcomes import EXIT_INTERRUPTED, StopNow

if __name__ == "__main__":
    try:
        interruption = Interruption().install()
        from grpo_job.cli import main

        main(args=sys.argv[1:] or ["run"], obj=interruption)
    except StopNow as signal_name:
        print(f"grpo-job: {signal_name} was received", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
