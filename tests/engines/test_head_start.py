"""Disk and driver are asked while libraries are imported, and nothing depends on it."""

import ctypes
import threading
from pathlib import Path
from typing import Any

import pytest

from grpo_job.engines import head_start


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"model-{number}.safetensors" for number in (1, 2)]
    for file in files:
        file.write_bytes(bytes(1000))
    return files


class Driver:
    """Answers as libcuda does."""

    def __init__(self, fault: int = 0) -> None:
        self.fault, self.asked = fault, list[str]()

    def __getattr__(self, name: str) -> Any:
        def answer(*_: Any) -> int:
            self.asked.append(name)
            return self.fault

        return answer


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "head start":
            thread.join(10)


def test_all_weights_are_read(weights: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_start, "PIECE", 300)
    assert head_start.read_ahead(weights, memory=4000) == 2000


def test_weights_that_the_memory_cannot_hold_are_not_read(weights: list[Path]) -> None:
    assert head_start.read_ahead(weights, memory=3999) == 0


def test_the_context_of_the_first_gpu_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    head_start.make_context()
    assert driver.asked == ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain"]


def test_a_driver_that_refuses_is_asked_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(fault=100)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    head_start.make_context()
    assert driver.asked == ["cuInit"]


def test_neither_a_missing_folder_nor_a_missing_driver_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    faults: list[Any] = []
    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(threading, "excepthook", faults.append)
    head_start.begin(tmp_path / "absent")
    wait()
    assert faults == []


def test_it_begins_both(weights: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    driver, read = Driver(), list[list[Path]]()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    monkeypatch.setattr(head_start, "read_ahead", lambda files, memory: read.append(files))
    head_start.begin(weights[0].parent)
    wait()
    assert read == [weights]
    assert driver.asked[-1] == "cuDevicePrimaryCtxRetain"
