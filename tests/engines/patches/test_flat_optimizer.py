"""Stepping on long tensors changes no number."""

from collections.abc import Iterator

import pytest
import torch

from grpo_job.engines.patches.flat_optimizer import flatten, flatten_8bit

SHAPES = [(8, 64), (64, 8), (16,), (3, 5), (256, 8)]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(7)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def groups(given: list[torch.nn.Parameter]) -> list[dict[str, object]]:
    return [{"params": given[:3], "weight_decay": 0.1}, {"params": given[3:], "weight_decay": 0.0}]


def trained(given: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer, steps: int = 5) -> list[torch.Tensor]:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        for parameter in given:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
        for parameter in given:
            parameter.grad = None
    return [parameter.detach().clone() for parameter in given]


def flat_adamw(given: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(groups(given), lr=1e-2)
    flatten(optimizer, lambda parameter: parameter.dim())
    return optimizer


def test_the_parameters_end_as_if_each_had_been_stepped_by_itself() -> None:
    one_by_one, together = parameters(), parameters()
    expected = trained(one_by_one, torch.optim.AdamW(groups(one_by_one), lr=1e-2))
    for ours, theirs in zip(trained(together, flat_adamw(together)), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_parameters_of_one_kind_in_one_group_go_together() -> None:
    optimizer = flat_adamw(parameters())
    sizes = [[flat.numel() for flat in group["params"]] for group in optimizer.param_groups]
    assert sizes == [[1024, 16], [2063]]


def test_a_schedule_still_reaches_the_groups() -> None:
    given = parameters()
    optimizer = flat_adamw(given)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    before = [parameter.detach().clone() for parameter in given]
    for ours, theirs in zip(trained(given, optimizer, steps=1), before, strict=True):
        assert torch.equal(ours, theirs)


def test_the_state_read_back_goes_on_where_it_stopped() -> None:
    whole, cut = parameters(), parameters()
    trained(whole, whole_run := flat_adamw(whole), steps=2)
    trained(cut, first := flat_adamw(cut), steps=2)
    again = flat_adamw(cut)
    again.load_state_dict(first.state_dict())
    expected = trained(whole, whole_run, steps=3)
    for ours, theirs in zip(trained(cut, again, steps=3), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_other_optimizers_stay_as_they_are() -> None:
    given = parameters()
    optimizer = torch.optim.AdamW(groups(given), lr=1e-2)
    flatten_8bit(optimizer)
    assert [parameter for group in optimizer.param_groups for parameter in group["params"]] == given
