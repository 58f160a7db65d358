"""When work is launched, captured, replayed, and launched again; CUDA's graph is a double that repeats the work."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from grpo_job.engines.rollouts import replay
from grpo_job.engines.rollouts.replay import Replayed
from tests.engines.rollouts.fake_graph import GPU, FakeGraph, fake_graph

__all__ = ["fake_graph"]


class World:
    """A number in one place that work doubles; `log` has what was asked of the graph."""

    def __init__(self) -> None:
        self.input, self.place, self.log = torch.tensor([1.0]), 1, []

    def double(self) -> torch.Tensor:
        self.log.append("launch")
        return self.input * 2

    def replayed(self, device: torch.device = GPU) -> Replayed[torch.Tensor]:
        return Replayed(self.double, lambda: self.place, device, "GRPO_X: set it to y")


@pytest.mark.usefixtures("fake_graph")
def test_the_second_call_captures_and_later_ones_replay_with_what_the_tensors_hold_then() -> None:
    world = World()
    work = world.replayed()
    answers = []
    for number in (1.0, 2.0, 3.0):
        world.input.fill_(number)
        answers.append(work().item())
    assert answers == [2.0, 4.0, 6.0]
    assert FakeGraph.log == ["capture", "replay", "replay"]


@pytest.mark.usefixtures("fake_graph")
def test_tensors_that_moved_are_launched_once_more_and_then_captured_again() -> None:
    world = World()
    work = world.replayed()
    for _ in range(2):
        work()
    world.input, world.place = torch.tensor([7.0]), 2
    assert work().item() == 14.0
    assert work.graph is None
    assert [work().item(), work().item()] == [14.0, 14.0]
    assert FakeGraph.log == ["capture", "replay", "capture", "replay", "replay"]


@pytest.mark.usefixtures("fake_graph")
def test_on_a_cpu_all_is_launched() -> None:
    world = World()
    work = world.replayed(torch.device("cpu"))
    for _ in range(3):
        work()
    assert (world.log, FakeGraph.log) == (["launch"] * 3, [])


def failing(error: Exception) -> Callable[[Any], Any]:
    def graph(work: Any) -> Any:
        raise error

    return graph


def test_work_that_cannot_be_captured_names_the_setting_that_avoids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "Graph", failing(RuntimeError("operation not permitted")))
    work = World().replayed()
    work()
    with pytest.raises(RuntimeError, match=r"^GRPO_X: set it to y: CUDA cannot .*: operation not permitted"):
        work()


def test_a_capture_without_memory_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "Graph", failing(torch.OutOfMemoryError("full")))
    work = World().replayed()
    work()
    with pytest.raises(torch.OutOfMemoryError, match="full"):
        work()
