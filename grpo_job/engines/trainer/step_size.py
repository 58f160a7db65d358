"""Scales an optimizer step by the share of groups whose rewards differ.

Adam's step has one length, whatever the gradient's: where two of sixteen groups differ in their rewards, it goes as far
by two as by all, and what it follows is mostly noise. For a batch that is smaller by a factor, Adam's rate is smaller
by its square root (Malladi et al., arXiv:2205.10287); here the groups that differ are the batch.
"""

from math import sqrt

from torch.optim import Optimizer

from grpo_job.settings.schema import Settings


class StepSize:
    """Scales the learning rate of each step, for that step alone."""

    def __init__(self, settings: Settings) -> None:
        self.is_on = settings.scale_updates == "groups"
        self.share = 1.0  # of the groups of the last generation that differ; the trainer says so

    def attach(self, optimizer: Optimizer) -> None:
        """From now on `optimizer` steps by the schedule's rate × √share."""
        if not self.is_on:
            return
        rates: list[float] = []

        def shorten(*_: object) -> None:
            rates[:] = [group["lr"] for group in optimizer.param_groups]
            for group in optimizer.param_groups:
                group["lr"] *= sqrt(self.share)

        def restore(*_: object) -> None:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

        optimizer.register_step_pre_hook(shorten)
        optimizer.register_step_post_hook(restore)
