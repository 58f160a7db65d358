"""Lets an optimizer step on a few long tensors in place of a LoRA's hundreds of short ones.

bitsandbytes launches one kernel a tensor and waits for the GPU after each. Its 8-bit states are
quantized in blocks of 256 values, each by itself: tensors of whole blocks give the same
numbers end to end as one by one.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Any

import torch

QUANTIZATION_BLOCK = 256


def flatten_8bit(optimizer: Any) -> None:
    """Where `optimizer` is one of bitsandbytes', let it step on long tensors; others stay as they are.

    Tensors below its `min_8bit_size`, whose states it keeps in 32 bits, go together, and keep 32.
    """
    options: Any = getattr(optimizer, "args", None)
    if not hasattr(options, "min_8bit_size"):
        return
    from bitsandbytes.optim import GlobalOptimManager

    smallest = options.min_8bit_size

    def kind(parameter: torch.Tensor) -> Hashable:
        if parameter.numel() < smallest:
            return "32 bits"
        return "8 bits" if parameter.numel() % QUANTIZATION_BLOCK == 0 else parameter

    overrides = GlobalOptimManager.get_instance()
    for flat, its_kind in flatten(optimizer, kind):
        if its_kind == "32 bits":
            overrides.override_config(flat, "optim_bits", 32)


def flatten(
    optimizer: torch.optim.Optimizer, kind: Callable[[torch.Tensor], Hashable]
) -> list[tuple[torch.nn.Parameter, Hashable]]:
    """Lay the parameters of each group that are of one kind, dtype and device end to end, in new ones of one dimension.

    The old parameters become views of them; their gradients are gathered before each step.
    Answers the new parameters with their kinds. Before the first step only.
    """
    flats = []
    for group in optimizer.param_groups:
        together: dict[tuple[Hashable, ...], list[torch.nn.Parameter]] = defaultdict(list)
        for parameter in group["params"]:
            together[kind(parameter), parameter.dtype, parameter.device].append(parameter)
        made = [(_laid_out(parameters), key[0], parameters) for key, parameters in together.items()]
        group["params"] = [flat for flat, _, _ in made]
        flats += made
    optimizer.register_step_pre_hook(lambda *_: _gather(flats))
    optimizer.register_step_post_hook(lambda *_: _drop(flats))
    return [(flat, its_kind) for flat, its_kind, _ in flats]


def _laid_out(parameters: list[torch.nn.Parameter]) -> torch.nn.Parameter:
    flat = torch.nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
    pieces = flat.detach().split([parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.data = piece.view(parameter.shape)
    return flat


def _gather(flats: list[Any]) -> None:
    for flat, _, parameters in flats:
        flat.grad = torch.cat([parameter.grad.reshape(-1) for parameter in parameters])


def _drop(flats: list[Any]) -> None:
    for flat, _, _ in flats:
        flat.grad = None
