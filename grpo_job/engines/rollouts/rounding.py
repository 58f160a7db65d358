"""Rounds to 16 bits up and down by a fixed dither.

To nearest, an update below half a unit in the last place is lost. With a dither each weight moves with the probability
that its update is of that unit (stochastic rounding, arXiv:1502.02551), so that a layer keeps the update on average.
The dither is a hash of seed, tensor and index: the same at each hand-over, so its error does not flicker.
"""

import torch
from numpy.random import SeedSequence

# Bits of fp32 that a 16-bit type lacks. Below fp16's normal range, 6e-5, the rest is rounded to nearest.
DROPPED_BITS = {torch.bfloat16: 16, torch.float16: 13}


def key_of(seed: int, tensor: int) -> int:
    """Where the dither of a tensor begins, below 2**31; `tensor` is its number in the model.

    >>> key_of(42, 0) == key_of(42, 0) != key_of(42, 1)
    True
    """
    return int(SeedSequence([seed, tensor]).generate_state(1)[0]) >> 1


def round_dithered(value: torch.Tensor, key: int, out: torch.Tensor) -> torch.Tensor:
    """Write `value`, fp32 and contiguous, to `out`, in 16 bits and of its shape.

    A value that 16 bits can hold stays as it is, so a fold of nothing is the base bit by bit.
    """
    dropped = DROPPED_BITS[out.dtype]
    if not value.is_cuda:
        return out.copy_(_dithered(value, key, dropped))
    from grpo_job.engines.rollouts.dither_kernel import launch

    target = out if out.is_contiguous() else torch.empty_like(value, dtype=out.dtype)
    launch(value, target, key, dropped)
    return out if target is out else out.copy_(target)


def _dithered(value: torch.Tensor, key: int, dropped: int) -> torch.Tensor:
    """What the GPU's kernel computes, in plain torch: the same bits."""
    index = torch.arange(value.numel(), device=value.device).view(value.shape)
    dither = (_hash(index, key) & ((1 << dropped) - 1)).to(torch.int32)
    return ((value.view(torch.int32) + dither) >> dropped << dropped).view(torch.float32)


def _hash(index: torch.Tensor, key: int) -> torch.Tensor:
    """32 bits of each index below 2**32, as int64: MurmurHash3's finalizer over a Weyl sequence."""
    mask = 0xFFFFFFFF
    x = (index * 0x9E3779B1 + key) & mask
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & mask
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & mask
    return x ^ (x >> 16)
