"""Gradients of several ranks become their mean: one all-reduce of all of them, end to end, before they are clipped.

In place of DDP, whose hooks on backward neither replayed CUDA graphs nor Unsloth's loss reach. DDP stays for a base
that ranks share (`fsdp.py`).
"""

import hashlib
from functools import partial
from typing import Any

import torch
import torch.distributed as dist

from grpo_job.engines.ranks import Ranks
from grpo_job.outcomes import Unexpected


def in_place_of_ddp(trainer: Any, ranks: Ranks) -> None:
    """Before training: accelerate leaves the model as it is, and each step learns from the gradients of all `ranks`."""
    if ranks.count == 1:
        return
    accelerator = trainer.accelerator
    # All that accelerate does to a model for training alone is to wrap it in DDP.
    accelerator.prepare_model = partial(accelerator.prepare_model, evaluation_mode=True)
    trainer.average_gradients = GradientAverage(trainer.model, ranks)


class GradientAverage:
    """Called on all ranks once their gradients of a step are summed."""

    def __init__(self, model: torch.nn.Module, ranks: Ranks) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.ranks, self.compared = ranks, False

    def __call__(self) -> None:
        """Replace each gradient by the mean over the ranks, computed in fp32.

        Raises `Unexpected` at its first call if the weights that the ranks train are not the same: equal gradients
        would keep them apart, without an error.
        """
        if not self.compared:
            self._require_equal_weights()
            self.compared = True
        for parameter in self.parameters:
            if parameter.grad is None:  # what this rank did not use, another may have
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.parameters]
        together = _end_to_end(gradients)
        dist.all_reduce(together)
        together /= self.ranks.count
        pieces = together.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [piece.view_as(own) for piece, own in zip(pieces, gradients, strict=True)])

    def _require_equal_weights(self) -> None:
        weights = _end_to_end([parameter.detach() for parameter in self.parameters])
        digests = self.ranks.gather(hashlib.sha256(weights.cpu().numpy()).hexdigest())
        if strangers := [number for number, digest in enumerate(digests) if digest != digests[0]]:
            raise Unexpected(f"the LoRA weights of rank {strangers[0]} are not those of rank 0 when training begins")


def _end_to_end(tensors: list[Any]) -> torch.Tensor:
    return torch.cat([tensor.reshape(-1).float() for tensor in tensors])
