"""Adds a LoRA to the weight that it adapts, and measures what 16 bits keep of it."""

from typing import Any

import torch

from grpo_job.engines.rollouts.rounding import round_dithered
from grpo_job.engines.trainer.adapter import ADAPTER
from grpo_job.engines.trainer.fsdp import gathered

SAMPLED_LAYERS, SAMPLED_ROWS = 16, 64


def fold(layer: Any, key: int | None = None, out: torch.Tensor | None = None) -> torch.Tensor:
    """round(W + scale * B A), from the 16-bit values that the training forward multiplies with.

    W is [out, in], B [out, rank], A [rank, in], scale is alpha / rank: LoRA, arXiv:2106.09685, section 4.1.
    The product and the sum are fp32, so there is one rounding: to nearest, or by the dither of `key`.
    """
    weight = base_weight(layer)
    up, down = matrices(layer, weight.dtype)
    if key is None:
        return torch.addmm(weight, up, down, alpha=layer.scaling[ADAPTER], out=out)
    exact = weight.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    exact.addmm_(up.float(), down.float(), alpha=layer.scaling[ADAPTER])
    return round_dithered(exact, key, torch.empty_like(weight) if out is None else out)


def matrices(layer: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """B and A as training multiplies them."""
    return layer.lora_B[ADAPTER].weight.to(dtype), layer.lora_A[ADAPTER].weight.to(dtype)


def constants(layer: Any) -> tuple[float, int, int, int]:
    """What a fold into 16 bits reads and does not change: the scale, and the addresses of W, B and A."""
    weights = layer.base_layer.weight, layer.lora_B[ADAPTER].weight, layer.lora_A[ADAPTER].weight
    base, up, down = (weight.data_ptr() for weight in weights)
    return layer.scaling[ADAPTER], base, up, down


def base_weight(layer: Any) -> torch.Tensor:
    """In 16 bits, also of a base that training holds in 4; whole, also of one that several GPUs share."""
    weight = layer.base_layer.weight
    if not hasattr(weight, "quant_state"):
        return gathered(weight.data)
    from bitsandbytes.functional import dequantize_4bit

    dequantized: torch.Tensor = dequantize_4bit(weight.data, weight.quant_state)
    return dequantized


class KeptShare:
    """The share of the update that a fold keeps: the slope of the folded against the unfolded change of the weights.

    kept = sum((W' - W) * D) / sum(D * D), over rows of up to 16 layers, with W the base, W' the folded weight as it is
    served and D = scale * B A the update that training multiplies with. 1: all of it, on average; 0: none. Sums stay on
    the device until they are asked for.
    """

    def __init__(self, layers: int) -> None:
        count = min(layers, SAMPLED_LAYERS)
        self.layers = frozenset(round(place * (layers - 1) / max(1, count - 1)) for place in range(count))
        self.sums: torch.Tensor | None = None

    def begin(self) -> None:
        """A new hand-over: forget what was summed."""
        self.sums = None

    def add(self, layer: Any, folded: torch.Tensor) -> None:
        """One layer, and W' [out, in] of it."""
        weight, scale = base_weight(layer), layer.scaling[ADAPTER]
        up, down = matrices(layer, weight.dtype)
        rows = slice(None, None, max(1, weight.shape[0] // SAMPLED_ROWS))
        update = torch.mm(up[rows].float(), down.float()) * scale
        moved = folded[rows].float() - weight[rows].float()
        sums = torch.stack([(moved * update).sum(), update.square().sum()])
        self.sums = sums if self.sums is None else self.sums + sums

    def take(self) -> float | None:
        """The share of the last hand-over, once; None if there was none since, or no update yet. Waits for the GPU."""
        if self.sums is None:
            return None
        kept, whole = self.sums.tolist()
        self.sums = None
        return kept / whole if whole > 0 else None
