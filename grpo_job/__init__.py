"""Unattended GRPO fine-tuning: environment variables in, a trained and measured LoRA adapter out.

Start reading in `job.py`, which tells one run from top to bottom. Nothing is imported here, so
that settings can be refused in milliseconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike

    from grpo_job.phases.in_python import LoadedRun


def run(**settings: Any) -> "LoadedRun":
    """Train, evaluate and publish, as `grpo-job run` does: `run(model="sample", max_steps=40)`.

    Settings are those of docs/settings.md without GRPO_; they override the environment's. The run has a process of its
    own. Raises `grpo_job.outcomes.RunEnded` where it does not end with exit code 0; see `grpo_job.phases.in_python`.
    """
    import os

    from grpo_job.phases import in_python

    return in_python.run(os.environ, settings)


def load(run: "str | PathLike[str]") -> "LoadedRun":
    """A run folder or a published tree as plain data: `pandas.DataFrame(load("outputs/my-run").metrics)`."""
    from grpo_job.phases import in_python

    return in_python.load(run)


def try_rewards(rewards: Any, rows: Any, options: Any = None) -> list[dict[str, float | None]]:
    """For each row what each reward pays, for the unit tests of a reward; see `grpo_job.rewards.trial`."""
    from grpo_job.rewards import trial

    return trial.try_rewards(rewards, rows, options)
