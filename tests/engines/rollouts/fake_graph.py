"""A double of `replay.Graph` for machines without a GPU: it runs the work again, into the tensor of the first time."""

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch

from grpo_job.engines.rollouts import replay

GPU = torch.device("cuda")


class FakeGraph:
    """`log` has what was asked of all graphs."""

    log: ClassVar[list[str]] = []

    def __init__(self, work: Callable[[], torch.Tensor]) -> None:
        self.log.append("capture")
        self.work, self.result = work, torch.full_like(work(), torch.nan)

    def replay(self) -> torch.Tensor:
        self.log.append("replay")
        return self.result.copy_(self.work())


@pytest.fixture
def fake_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captures and replays are doubled."""
    monkeypatch.setattr(replay, "Graph", FakeGraph)
    monkeypatch.setattr(FakeGraph, "log", [])
