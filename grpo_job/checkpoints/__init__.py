"""Checkpoints that are whole or not there: saved, verified, mirrored, and held by one attempt at a time."""

from grpo_job.checkpoints.holding import Holding
from grpo_job.checkpoints.keeper import PARTIAL, Checkpoint, Keeper
from grpo_job.checkpoints.mirror import Mirror, place_of_bell, place_of_run

__all__ = ["PARTIAL", "Checkpoint", "Holding", "Keeper", "Mirror", "place_of_bell", "place_of_run"]
