"""Who can write to the mirror can write a matching manifest: what the engine cannot load is skipped, and never run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints.test_validity import with_manifest
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport


class Code:
    """Unpickled, it makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


def _adapter(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path, Path], None]:
    def poison(folder: Path, canary: Path) -> None:
        weights = folder / "adapter_model.safetensors"
        save_file(change(load_file(weights)), weights)

    return poison


def _pickle(name: str) -> Callable[[Path, Path], None]:
    return lambda folder, canary: torch.save(Code(str(canary)), folder / name)


def _text(name: str, text: str) -> Callable[[Path, Path], object]:
    return lambda folder, canary: (folder / name).write_text(text)


POISONS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "optimizer": (_pickle("optimizer.pt"), "optimizer.pt holds more than tensors"),
    "random numbers": (_pickle("rng_state.pth"), "rng_state.pth holds more than tensors"),
    "a further pickle": (_pickle("scaler.pt"), "scaler.pt holds more than tensors"),
    "garbage": (_text("optimizer.pt", "garbage"), "optimizer.pt holds more than tensors"),
    "other shapes": (_adapter(lambda w: {k: v[:1].clone() for k, v in w.items()}), "other layers or shapes"),
    "no numbers": (_adapter(lambda w: {k: v * float("nan") for k, v in w.items()}), "no finite numbers"),
    "no adapter": (_text("adapter_model.safetensors", "\xff" * 99), "no whole safetensors file"),
    "another step": (_text("trainer_state.json", '{"global_step": 3}'), "trainer_state.json is not that of step 4"),
    "deep state": (_text("trainer_state.json", "[" * 90 + "]" * 90), "trainer_state.json is not that of step 4"),
}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with a run that was killed after step 5: its checkpoints are those of steps 2 and 4."""
    outputs = tmp_path_factory.mktemp("cut")
    assert (
        runs.finish(outputs, {"GRPO_SAVE_STEPS": "2"}, hooks=[SignalAfterStep(5, SIGKILL), WithoutReport()]) == -SIGKILL
    )
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("kind", POISONS)
def test_a_poisoned_checkpoint_is_skipped_for_an_older_whole_one(kind: str, cut: Path, tmp_path: Path) -> None:
    shutil.copytree(cut / runs.RUN_ID, tmp_path / runs.RUN_ID)
    newest = tmp_path / runs.RUN_ID / "checkpoints" / "step-000004"
    poison, told = POISONS[kind]
    poison(newest, tmp_path / "canary")
    with_manifest(newest)
    again = runs.start(tmp_path, {"GRPO_SAVE_STEPS": "2"}, hooks=[WithoutReport()])
    assert again.wait() == 0, again.said()
    assert not (tmp_path / "canary").exists()
    assert told in again.said()
    assert "resuming after step 2" in again.said()
    assert "Traceback" not in again.said()
