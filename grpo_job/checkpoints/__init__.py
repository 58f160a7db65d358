"""Checkpoints: saved atomically, verified, mirrored, and held by one attempt at a time."""

from grpo_job.checkpoints.manager import PARTIAL, Checkpoint, CheckpointManager
from grpo_job.checkpoints.mirror import Mirror
from grpo_job.checkpoints.run_lock import RunLock

__all__ = ["PARTIAL", "Checkpoint", "CheckpointManager", "Mirror", "RunLock"]
