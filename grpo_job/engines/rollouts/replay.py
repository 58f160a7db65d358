"""Replays work that is the same each time as one CUDA graph: one launch in place of thousands."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")


class Replayed(Generic[Result]):
    """Calls `work`: launched kernel by kernel the first time, captured the second, replayed from then on.

    A graph keeps the addresses and numbers that its kernels were launched with: `constants` answers those of all
    tensors that are there before `work`. When one has changed, the next call counts as the first again. `work` must
    neither wait for the GPU nor read anything else that changes. What it returns is overwritten by the next replay.
    """

    def __init__(
        self, work: Callable[[], Result], constants: Callable[[], Hashable], device: torch.device, cure: str
    ) -> None:
        """`cure` is for the user, if `work` cannot be captured. On a CPU, `work` is called as it is."""
        self.work, self.constants, self.device, self.cure = work, constants, device, cure
        self.graph: Graph[Result] | None = None
        self.seen: Hashable = None

    def __call__(self) -> Result:
        """Raises `RuntimeError` if `work` cannot be captured."""
        if self.device.type != "cuda":
            return self.work()
        constants = self.constants()
        if constants != self.seen:
            self.graph, self.seen = None, constants
            # At its first call a kernel compiles, measures and allocates, which is no part of a graph.
            return self.work()
        self.graph = self.graph or self._captured()
        return self.graph.replay()

    def _captured(self) -> "Graph[Result]":
        try:
            return Graph(self.work)
        except torch.OutOfMemoryError:
            raise
        # It leaves the stream, PyTorch's allocator and its random numbers in a capture that never ends, even where
        # nothing was drawn: this process cannot go on.
        except RuntimeError as error:
            raise RuntimeError(f"{self.cure}: CUDA cannot capture this work: {error}") from error


class Graph(Generic[Result]):
    """The kernels of one call of `work`, in a memory pool of their own: what `work` frees, its later kernels reuse."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.result = work()

    def replay(self) -> Result:
        """Run the kernels; the result is the same tensor each time."""
        self.graph.replay()
        return self.result
