"""Rounding with a dither: right on average, the same each time, and nothing moved that 16 bits can hold."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from grpo_job.engines.rollouts.rounding import key_of, round_dithered

ALL_BF16 = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)

COMPARE = """
import torch
from grpo_job.engines.rollouts import dither_kernel
from grpo_job.engines.rollouts.rounding import DROPPED_BITS, _dithered

torch.manual_seed(0)
for dtype, dropped in DROPPED_BITS.items():
    for key in (0, 1, 2**31 - 1):
        value = torch.randn(97, 101) * 0.02
        out = torch.empty_like(value, dtype=dtype)
        dither_kernel.launch(value, out, key, dropped)
        assert torch.equal(out, _dithered(value, key, dropped).to(dtype)), (dtype, key)
print("equal")
"""


def rounded(value: torch.Tensor, key: int = 7, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return round_dithered(value, key, torch.empty_like(value, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
def test_a_value_between_two_neighbours_goes_up_as_often_as_it_is_near_the_upper_one(
    share: float, dtype: torch.dtype
) -> None:
    low = torch.tensor(0.01, dtype=dtype).float()
    high = torch.nextafter(low.to(dtype), torch.tensor(1.0, dtype=dtype)).float()
    value = torch.full((500, 1000), 0.0) + low + share * (high - low)
    found = rounded(value, dtype=dtype).float()
    assert set(found.unique().tolist()) == {low.item(), high.item()}
    assert (found == high).float().mean().item() == pytest.approx(share, abs=0.003)


def test_what_16_bits_can_hold_stays_bit_by_bit() -> None:
    finite = ALL_BF16[ALL_BF16.isfinite()]
    assert torch.equal(rounded(finite.float()).view(torch.int16), finite.view(torch.int16))
    halves = finite[finite.abs() < 60000].half()
    assert torch.equal(rounded(halves.float(), dtype=torch.float16).view(torch.int16), halves.view(torch.int16))


def test_the_same_key_gives_the_same_bits_and_another_tensor_others() -> None:
    value = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rounded(value, key_of(42, 3)), rounded(value, key_of(42, 3)))
    assert not torch.equal(rounded(value, key_of(42, 3)), rounded(value, key_of(42, 4)))
    assert not torch.equal(rounded(value, key_of(42, 3)), rounded(value, key_of(43, 3)))


def test_a_growing_update_moves_each_weight_once() -> None:
    """A dither drawn anew at each hand-over would move weights back and forth."""
    base, ulp = torch.full((10_000,), 1.0), 2.0**-7
    found = [rounded(base + share * ulp) > 1.0 for share in (0.1, 0.2, 0.5, 0.9)]
    assert all(bool((more | ~less).all()) for less, more in pairwise(found))


def test_dither_of_neighbours_is_not_related() -> None:
    up = (rounded(torch.full((1000, 1000), 1.0) + 2.0**-8) > 1.0).float() - 0.5
    for shifted in (up.roll(1, 0), up.roll(1, 1), up.roll((1, 1), (0, 1))):
        assert abs((up * shifted).mean().item()) < 0.25 * 0.01


def test_the_gpus_kernel_interpreted_gives_the_same_bits() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run([sys.executable, "-c", COMPARE], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "equal", run.stderr
