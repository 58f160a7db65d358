"""The door of the container: `python entrypoint.py` is `grpo-job run`."""

from grpo_job.interruption import Interruption

INTERRUPTION = Interruption().install()  # before all else: a signal may come while the rest is imported

if __name__ == "__main__":
    from grpo_job.cli import main

    main(obj=INTERRUPTION)
