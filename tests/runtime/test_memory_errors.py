"""Running out of memory is told from other failures, whoever says so."""

import pytest
import torch

from grpo_job.runtime.resource_errors import memory_trouble

OURS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 139 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ValueError("No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"),
    ValueError("Free memory on device cuda:0 (9/80 GiB) on startup is less than desired GPU memory utilization (0.5)"),
    ValueError("2.0 GiB KV cache is needed, which is larger than the available KV cache memory (1.0 GiB)"),
    ImportError("/lib/_multiprocessing.so: failed to map segment from shared object"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OURS, ids=lambda error: str(error)[:30])
def test_it_is_known_in_every_wording_and_told_on_one_line(error: Exception) -> None:
    told = memory_trouble(error)
    assert told is not None
    assert told.startswith(f"{type(error).__name__}:")
    assert len(told.splitlines()) == 1


def test_it_is_known_behind_an_error_that_it_caused() -> None:
    failed = RuntimeError("Engine core initialization failed")
    failed.__cause__ = OURS[0]
    assert "Tried to allocate" in (memory_trouble(failed) or "")


@pytest.mark.parametrize("error", [ValueError("no such column"), OSError(28, "No space left on device"), KeyError("x")])
def test_other_failures_are_left_alone(error: Exception) -> None:
    assert memory_trouble(error) is None
