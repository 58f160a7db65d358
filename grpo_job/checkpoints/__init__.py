"""Checkpoints that are whole or not there: saved, verified, mirrored, and held by one attempt at a time."""

from grpo_job.checkpoints.manager import PARTIAL, Checkpoint, Keeper
from grpo_job.checkpoints.mirror import Mirror, place_of_bell, place_of_run
from grpo_job.checkpoints.run_lock import Holding

__all__ = ["PARTIAL", "Checkpoint", "Holding", "Keeper", "Mirror", "place_of_bell", "place_of_run"]
