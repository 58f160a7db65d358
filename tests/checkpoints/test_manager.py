"""A checkpoint is whole or not there, and the newest good one is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job.checkpoints import CheckpointManager
from grpo_job.checkpoints.manager import MANIFEST
from grpo_job.checkpoints.validity import damage_of
from grpo_job.run_folder.files import sha256

FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
IDENTITY = {"model": "sample", "rewards": (("correct", 2.0),), "model_commit": None}


@pytest.fixture
def manager(tmp_path: Path) -> CheckpointManager:
    kept = CheckpointManager(tmp_path / "checkpoints", IDENTITY, keep=2, extras=(tmp_path / "metrics.jsonl",))
    kept.clear_partial()
    return kept


def written(manager: CheckpointManager, step: int) -> Path:
    """What a trainer leaves behind at `step`."""
    folder = manager.partial / f"checkpoint-{step}"
    folder.mkdir()
    for name in (*FILES, "training_args.bin", "README.md"):
        (folder / name).write_text(f"{name} after step {step}")
    return folder


def saved(manager: CheckpointManager, *steps: int) -> CheckpointManager:
    for step in steps:
        manager.commit(step, written(manager, step))
    return manager


def newest(manager: CheckpointManager) -> tuple[int, list[str]]:
    """Step of the newest good checkpoint, 0 without one, and the damages that were found."""
    checkpoint, damages = manager.newest_good()
    return checkpoint.step if checkpoint else 0, damages


def names(manager: CheckpointManager) -> list[str]:
    return sorted(path.name for path in manager.folder.glob("step-*"))


def test_what_the_trainer_wrote_becomes_a_checkpoint_named_after_its_step(manager: CheckpointManager) -> None:
    folder = written(manager, 10)
    checkpoint = manager.commit(10, folder)
    assert checkpoint.folder.name == "step-000010"
    assert not folder.exists()
    assert sorted(path.name for path in checkpoint.folder.iterdir()) == sorted([*FILES, MANIFEST])
    assert damage_of(checkpoint.folder) is None


def test_the_manifest_tells_step_identity_and_each_file(manager: CheckpointManager) -> None:
    folder = saved(manager, 10).folder / "step-000010"
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["step"] == 10
    assert manifest["identity"] == {"model": "sample", "rewards": [["correct", 2.0]], "model_commit": None}
    assert manifest["files"] == {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in FILES
    }


def test_the_metrics_up_to_the_step_are_laid_beside(manager: CheckpointManager, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n')
    folder = saved(manager, 10).folder / "step-000010"
    assert (folder / "metrics.jsonl").read_text() == '{"step": 10}\n'
    assert (tmp_path / "metrics.jsonl").is_file()


def test_files_in_folders_are_part_of_the_checkpoint(manager: CheckpointManager) -> None:
    folder = written(manager, 10)
    (folder / "deep").mkdir()
    (folder / "deep" / "state").write_text("a")
    final = manager.commit(10, folder).folder
    (final / "deep" / "state").write_text("b")
    assert damage_of(final) == "deep/state has other content than was saved"


def test_the_newest_checkpoint_is_found(manager: CheckpointManager) -> None:
    assert newest(saved(manager, 10, 20)) == (20, [])


def test_the_newest_is_that_of_the_highest_number_and_not_of_the_last_name(manager: CheckpointManager) -> None:
    assert newest(saved(manager, 999_999, 1_000_000)) == (1_000_000, [])


def test_without_a_checkpoint_none_is_found(manager: CheckpointManager) -> None:
    assert manager.newest_good() == (None, [])


def change(name: str, how: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: how(folder / name)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(**values: Any) -> Callable[[Path], object]:
    def how(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return how


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the adapter is missing": (
        change("adapter_model.safetensors", Path.unlink), "adapter_model.safetensors is missing"
    ),
    "the optimizer is missing": (change("optimizer.pt", Path.unlink), "optimizer.pt is missing"),
    "the scheduler is missing": (change("scheduler.pt", Path.unlink), "scheduler.pt is missing"),
    "the random state is missing": (change("rng_state.pth", Path.unlink), "rng_state.pth is missing"),
    "the trainer's state is missing": (change("trainer_state.json", Path.unlink), "trainer_state.json is missing"),
    "a file is cut off": (
        change("adapter_model.safetensors", lambda path: path.write_text("adapter")),
        "adapter_model.safetensors has 7 bytes instead of 39",
    ),
    "a file is longer": (
        change("optimizer.pt", lambda path: path.write_text(path.read_text() + "\n")),
        "optimizer.pt has 27 bytes instead of 26",
    ),
    "a file is empty": (
        change("rng_state.pth", lambda path: path.write_text("")), "rng_state.pth has 0 bytes instead of 27"
    ),
    "one bit is another": (
        change("adapter_model.safetensors", flip_a_bit), "adapter_model.safetensors has other content than was saved"
    ),
    "a file became a folder": (change("optimizer.pt", into_a_folder), "optimizer.pt is missing"),
    "a file points to nowhere": (change("optimizer.pt", to_nowhere), "optimizer.pt is missing"),
    "the manifest is missing": (change(MANIFEST, Path.unlink), "manifest.json is missing"),
    "the manifest is empty": (change(MANIFEST, lambda path: path.write_text("")), "manifest.json is not a manifest"),
    "the manifest is cut off": (
        change(MANIFEST, lambda path: path.write_text(path.read_text()[:-20])), "manifest.json is not a manifest"
    ),
    "the manifest is no text": (
        change(MANIFEST, lambda path: path.write_bytes(b"\xff\xfe")), "manifest.json is not a manifest"
    ),
    "the manifest is a list": (change(MANIFEST, lambda path: path.write_text("[]")), "manifest.json is not a manifest"),
    "the manifest is a folder": (change(MANIFEST, into_a_folder), "manifest.json is not a manifest"),
    "the manifest has no identity": (change(MANIFEST, edit(identity=None)), "manifest.json is not a manifest"),
    "the manifest names files without digests": (
        change(MANIFEST, edit(files={"optimizer.pt": 3})), "manifest.json is not a manifest"
    ),
    "the manifest names no files": (change(MANIFEST, edit(files={})), "manifest.json names no files"),
    "the step is a foreign one": (change(MANIFEST, edit(step=10)), "its manifest is that of step 10"),
    "everything is missing": (
        lambda folder: (shutil.rmtree(folder), folder.mkdir()), "manifest.json is missing"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_named_and_the_checkpoint_before_is_used(damage: str, manager: CheckpointManager) -> None:
    harm, sentence = DAMAGES[damage]
    harm(saved(manager, 10, 20).folder / "step-000020")
    assert newest(manager) == (10, [f"checkpoint step-000020 is damaged and not used: {sentence}"])


def test_when_all_are_damaged_each_is_named_and_none_is_used(manager: CheckpointManager) -> None:
    for folder in saved(manager, 10, 20).folder.glob("step-*"):
        flip_a_bit(folder / "optimizer.pt")
    checkpoint, damages = manager.newest_good()
    assert checkpoint is None
    assert [damage.split()[1] for damage in damages] == ["step-000020", "step-000010"]


def test_what_a_killed_save_left_behind_is_no_checkpoint_and_is_cleared(manager: CheckpointManager) -> None:
    written(saved(manager, 10), 20)
    again = CheckpointManager(manager.folder, IDENTITY, keep=2)
    assert newest(again) == (10, [])
    again.clear_partial()
    assert list(again.partial.iterdir()) == []


def test_the_oldest_beyond_those_to_keep_are_removed(manager: CheckpointManager) -> None:
    assert names(saved(manager, 10, 20, 30, 40)) == ["step-000030", "step-000040"]


def test_a_damaged_checkpoint_does_not_count_so_that_the_last_good_one_stays(manager: CheckpointManager) -> None:
    manager.keep = 1
    saved(manager, 10)
    damaged = manager.folder / "step-000090"
    shutil.copytree(manager.folder / "step-000010", damaged)
    saved(manager, 20)
    assert names(manager) == ["step-000020", "step-000090"]
    flip_a_bit(manager.folder / "step-000020" / "optimizer.pt")
    manager._prune()
    assert "step-000020" in names(manager), "nothing is removed where no good one is left"


def test_pruning_never_leaves_a_run_without_a_good_checkpoint(manager: CheckpointManager) -> None:
    manager.keep = 1
    for step in range(1, 9):
        saved(manager, step)
        assert newest(manager) == (step, [])


def test_a_checkpoint_of_the_same_step_is_replaced(manager: CheckpointManager) -> None:
    flip_a_bit(saved(manager, 10).folder / "step-000010" / "optimizer.pt")
    saved(manager, 10)
    assert newest(manager) == (10, [])
    assert sorted(path.name for path in manager.folder.iterdir()) == [".partial", "step-000010"]


def test_other_folders_are_left_alone(manager: CheckpointManager) -> None:
    mine = manager.folder / "step-000010.before-my-change"
    mine.mkdir()
    saved(manager, 10, 20, 30, 40)
    assert mine.is_dir()
    assert manager.newest_good()[1] == []


def test_a_run_that_starts_anew_forgets_the_steps_of_an_earlier_one(manager: CheckpointManager) -> None:
    saved(manager, 90).forget()
    assert names(saved(manager, 10)) == ["step-000010"]


def test_a_checkpoint_made_with_the_same_settings_does_not_differ(manager: CheckpointManager) -> None:
    checkpoint, _ = saved(manager, 10).newest_good()
    assert checkpoint is not None
    assert manager.differences(checkpoint) == []


def test_a_checkpoint_made_with_other_settings_names_the_differing_ones(manager: CheckpointManager) -> None:
    checkpoint, _ = saved(manager, 10).newest_good()
    assert checkpoint is not None
    other = CheckpointManager(
        manager.folder, {"model": "other", "rewards": (("correct", 2.0),), "lora_rank": 8}, keep=2
    )
    assert other.differences(checkpoint) == ["lora_rank: None -> 8", "model: 'sample' -> 'other'"]
