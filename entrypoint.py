"""The door of the container: `python entrypoint.py` is `grpo-job run`."""

import sys

from grpo_job.failures import EXIT_INTERRUPTED
from grpo_job.interruption import Interruption, StopNow

if __name__ == "__main__":
    try:
        interruption = Interruption().install()  # before all else: a signal may come while the rest is imported
        from grpo_job.cli import main

        main(obj=interruption)
    except StopNow as signal_name:
        print(f"grpo-job: {signal_name} was received", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
