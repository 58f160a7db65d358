"""bitsandbytes' 8-bit AdamW on a GPU: long tensors give the numbers of short ones."""

import pytest
import torch

from grpo_job.engines.patches.flat_optimizer import flatten_8bit

pytestmark = pytest.mark.gpu

SHAPES = [(8, 2048), (256, 8), (2048, 8), (8, 1000), (11008, 8), (256, 8), (7, 601)]


def trained(*, flat: bool) -> list[torch.Tensor]:
    from bitsandbytes.optim import AdamW

    generator = torch.Generator("cuda").manual_seed(1)
    parameters = [torch.nn.Parameter(torch.randn(shape, device="cuda", generator=generator)) for shape in SHAPES]
    optimizer = AdamW(parameters, lr=1e-2, weight_decay=0.1, optim_bits=8)
    if flat:
        flatten_8bit(optimizer)
    for _ in range(6):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, device="cuda", generator=generator)
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def test_the_parameters_are_equal_bit_by_bit() -> None:
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(trained(flat=True), trained(flat=False), strict=True))
