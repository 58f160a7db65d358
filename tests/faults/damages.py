"""Damage to the newest checkpoint: it is found and named, and the one before is resumed from."""

import itertools
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

NEWEST, BEFORE = "step-000004", "step-000002"


def _missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _cut(name: str, keep: float) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return cut


def _flipped(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def _manifest(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**manifest, **changes}), encoding="utf-8")

    return change


def _foreign_settings(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["identity"]["lora_rank"] += 1
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _foreign_step(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name(BEFORE), folder)


# What is done, and what must be said of it.
DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no manifest": (_missing("manifest.json"), "manifest.json is missing"),
    "empty manifest": (_cut("manifest.json", 0), "manifest.json is not a manifest"),
    "manifest cut short": (_cut("manifest.json", 0.5), "manifest.json is not a manifest"),
    "no adapter": (_missing("adapter_model.safetensors"), "adapter_model.safetensors is missing"),
    "adapter cut short": (_cut("adapter_model.safetensors", 0.9), "adapter_model.safetensors has "),
    "one bit of the adapter": (_flipped("adapter_model.safetensors"), "adapter_model.safetensors has other content"),
    "no optimizer": (_missing("optimizer.pt"), "optimizer.pt is missing"),
    "one bit of the optimizer": (_flipped("optimizer.pt"), "optimizer.pt has other content"),
    "no random numbers": (_missing("rng_state.pth"), "rng_state.pth is missing"),
    "empty scheduler": (_cut("scheduler.pt", 0), "scheduler.pt has 0 bytes"),
    "foreign step": (_foreign_step, "its manifest is that of step 2"),
    "foreign settings": (_foreign_settings, "lora_rank: 17 -> 16"),
    "one bit of the metrics": (_flipped("metrics.jsonl"), "metrics.jsonl has other content"),
    "no trainer state": (_missing("trainer_state.json"), "trainer_state.json is missing"),
    "a manifest of nothing": (_manifest(files={}), "manifest.json names no files"),
}


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """The first `count` kinds; `seed` changes nothing, for all is determined."""
    whole, cut = runs.undisturbed(folder / "undisturbed"), folder / "cut"
    runs.finish(cut, hooks=[SignalAfterStep(5, signal.SIGKILL), WithoutReport()])
    for kind, (damage, said) in itertools.islice(DAMAGES.items(), count):
        yield _trial(folder / kind.replace(" ", "-"), kind, damage, said, cut, whole)


def _trial(
    folder: Path, kind: str, damage: Callable[[Path], None], said: str, cut: Path, whole: Path
) -> tuple[str, str]:
    shutil.copytree(cut, folder)
    damage(folder / runs.RUN_ID / "checkpoints" / NEWEST)
    attempt = runs.start(folder, hooks=[WithoutReport()])
    code = attempt.wait()
    if code:
        return kind, f"the resumed attempt ended with {code}"
    if f"{NEWEST} is" not in attempt.said() or said not in attempt.said():
        return kind, "the damage was not named"
    if "resuming after step 2" not in attempt.said():
        return kind, "the checkpoint before was not used"
    return kind, runs.difference(runs.result(whole), runs.result(folder))
