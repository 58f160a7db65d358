"""Checkpoints that are whole or not there: saved, verified, and the newest good one found."""

from grpo_job.checkpoints.keeper import Checkpoint, Keeper

__all__ = ["Checkpoint", "Keeper"]
