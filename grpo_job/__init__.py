"""Unattended GRPO fine-tuning: environment variables in, a trained and measured LoRA adapter out.

Start reading in `job.py`, which tells one run from top to bottom. Nothing is imported here, so
that settings can be refused in milliseconds.
"""

from typing import Any


def try_rewards(rewards: Any, rows: Any, options: Any = None) -> list[dict[str, float | None]]:
    """For each row what each reward pays, for the unit tests of a reward; see `grpo_job.rewards.trial`."""
    from grpo_job.rewards import trial

    return trial.try_rewards(rewards, rows, options)
