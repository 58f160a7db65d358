"""A broken nvidia-smi and launchers' variables that are no numbers are one sentence."""

from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.runtime import machine
from grpo_job.runtime.world import is_rank, layout
from grpo_job.settings.reader import resolve

RANK = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}


def program(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nvidia-smi").write_bytes(content)
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize("content", [b"\x7fELF no program", b"#!/nowhere/sh\n"])
def test_a_program_that_cannot_be_run_is_refused_unless_no_gpu_is_wanted(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, content, monkeypatch)
    with pytest.raises(InvalidRun, match="PATH: nvidia-smi cannot be run"):
        machine.gpus()
    assert machine.gpus("") == []


def test_bytes_that_are_no_text_are_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, b"#!/bin/sh\nprintf '\\377\\376 GPU'\n", monkeypatch)
    assert machine.gpus() == []
    assert machine.chosen([], "9" * 5000) == []


@pytest.mark.parametrize("value", ["0", "-1", "two", "9" * 5000])
def test_processes_of_a_machine_that_are_no_number_are_refused(value: str) -> None:
    settings = resolve({"GRPO_RECIPE": "smoke"}).settings
    with pytest.raises(InvalidRun, match="LOCAL_WORLD_SIZE: "):
        layout(settings, {**RANK, "LOCAL_WORLD_SIZE": value}, gpus=0)
    with pytest.raises(InvalidRun, match="PET_NNODES: "):
        layout(settings, {"PET_NNODES": value}, gpus=0)
    assert not is_rank({**RANK, "RANK": "9" * 5000})
