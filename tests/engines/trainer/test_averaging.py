"""Gradients of two processes over gloo: their mean, as DDP makes it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.nn.parallel import DistributedDataParallel

from grpo_job.engines.ranks import ALONE
from grpo_job.engines.trainer.averaging import GradientAverage, in_place_of_ddp
from grpo_job.outcomes import Unexpected
from tests.engines.test_several_ranks import TorchSeat

MICRO_STEPS = 3


def layers() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Linear(16, 1))


def backward(model: torch.nn.Module, rank: int) -> None:
    """One micro-step over this rank's rows of a batch."""
    rows = torch.randn(8, 6, generator=torch.Generator().manual_seed(rank))
    model(rows).square().mean().backward()


def gradients_of(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def averaged_by_ddp(rank: int) -> list[torch.Tensor]:
    wrapped = DistributedDataParallel(layers())
    with wrapped.no_sync():
        for _ in range(MICRO_STEPS - 1):
            backward(wrapped, rank)
    backward(wrapped, rank)
    return gradients_of(wrapped)


def averaged_by_us(rank: int) -> list[torch.Tensor]:
    model = layers()
    average = GradientAverage(model, TorchSeat())  # type: ignore[arg-type]
    for _ in range(MICRO_STEPS):
        backward(model, rank)
    average()
    return gradients_of(model)


def unused_by_rank_1(rank: int) -> torch.Tensor | None:
    model = layers()
    average = GradientAverage(model, TorchSeat())  # type: ignore[arg-type]
    if rank == 0:
        backward(model, 0)
    else:
        model[1].weight.sum().backward()  # type: ignore[index, union-attr]
    average()
    return model[0].weight.grad  # type: ignore[index, union-attr]


def refusal_of_other_weights(rank: int) -> str:
    model = layers()
    with torch.no_grad():
        model[1].bias += rank * 1e-7  # type: ignore[index, union-attr]
    backward(model, 0)
    try:
        GradientAverage(model, TorchSeat())()  # type: ignore[arg-type]
    except Unexpected as error:
        return str(error)
    return ""


def of_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = layers()
    backward(model, 0)
    found = {
        "ddp": averaged_by_ddp(rank),
        "ours": averaged_by_us(rank),
        "alone": model[0].weight.grad,  # type: ignore[index, union-attr]
        "unused": unused_by_rank_1(rank),
        "refusal": refusal_of_other_weights(rank),
    }
    torch.save(found, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(of_rank, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
def test_after_several_micro_steps_the_mean_is_that_of_ddp_bit_by_bit(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert len(found["ours"]) == 4
        assert all(map(torch.equal, found["ours"], found["ddp"]))
    assert all(map(torch.equal, ranks[0]["ours"], ranks[1]["ours"]))


@pytest.mark.slow
def test_what_one_rank_did_not_use_counts_as_0_there(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert torch.equal(found["unused"], found["alone"] / 2)


@pytest.mark.slow
def test_ranks_that_train_other_weights_are_refused_at_the_first_step(ranks: list[dict[str, Any]]) -> None:
    said = "the LoRA weights of rank 1 are not those of rank 0 when training begins"
    assert [found["refusal"] for found in ranks] == [said, said]


def test_a_process_alone_averages_nothing_and_is_left_to_accelerate() -> None:
    trainer = SimpleNamespace()
    in_place_of_ddp(trainer, ALONE)
    assert vars(trainer) == {}
