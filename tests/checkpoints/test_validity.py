"""A checkpoint under a matching manifest may still be another's: its signature and its contents tell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.checkpoints import CheckpointManager
from grpo_job.checkpoints.validity import MANIFEST, damage_of
from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder.files import sha256
from grpo_job.settings.reader import resolve

KEY = b"k" * 32


def saved(folder: Path, *steps: int, key: bytes | None = None) -> CheckpointManager:
    """Checkpoints with metrics."""
    metrics = folder / "metrics.jsonl"
    manager = CheckpointManager(folder / "checkpoints", {"model": "sample"}, keep=9, extras=(metrics,), key=key)
    manager.clear_partial()
    for step in steps:
        metrics.write_text(f'{{"step": {step}}}\n')
        written = manager.partial / "written"
        written.mkdir()
        (written / "optimizer.pt").write_text(f"after {step}")
        manager.commit(step, written)
    return manager


def with_manifest(folder: Path) -> Path:
    """As who can write to a mirror does: the manifest is made anew for what lies there."""
    manifest = json.loads((folder / MANIFEST).read_text())
    paths = [path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST]
    manifest["files"] = {path.name: {"sha256": sha256(path), "bytes": path.stat().st_size} for path in paths}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def newest(manager: CheckpointManager) -> tuple[int, list[str]]:
    checkpoint, damages = manager.newest_good()
    return checkpoint.step if checkpoint else 0, damages


POISONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "rows that are no JSON": (lambda f: (f / "metrics.jsonl").write_text("{]\n"), "metrics.jsonl does not hold"),
    "rows that are no rows": (lambda f: (f / "metrics.jsonl").write_text("[1]\n"), "metrics.jsonl does not hold"),
    "rows without a step": (lambda f: (f / "metrics.jsonl").write_text('{"step": "x"}\n'), "metrics.jsonl does not"),
    "deep rows": (lambda f: (f / "metrics.jsonl").write_text("[" * 9999 + "\n"), "nested deeper than 100 levels"),
    "other judgements": (lambda f: (f / "judged.jsonl").write_text('{"a": 1}\n'), "judged.jsonl does not hold"),
    "bytes": (lambda f: (f / "metrics.jsonl").write_bytes(b"\xff\n"), "metrics.jsonl does not hold"),
}


@pytest.mark.parametrize("kind", POISONS)
def test_what_no_job_wrote_is_skipped_for_an_older_one(kind: str, tmp_path: Path) -> None:
    manager = saved(tmp_path, 10, 20)
    poison, told = POISONS[kind]
    poison(manager.folder / "step-000020")
    with_manifest(manager.folder / "step-000020")
    step, damages = newest(manager)
    assert step == 10
    assert len(damages) == 1
    assert told in damages[0]


def test_a_file_that_the_manifest_does_not_name_is_damage(tmp_path: Path) -> None:
    folder = saved(tmp_path, 10).folder / "step-000010"
    (folder / "optimizer.bin").touch()
    assert damage_of(folder) == "optimizer.bin is not in manifest.json"


def test_a_name_or_a_link_that_leads_out_is_damage(tmp_path: Path) -> None:
    folder = saved(tmp_path, 10).folder / "step-000010"
    content = (folder / "optimizer.pt").read_bytes()
    (tmp_path / "elsewhere").write_bytes(content)
    (folder / "optimizer.pt").unlink()
    (folder / "optimizer.pt").symlink_to(tmp_path / "elsewhere")
    assert "optimizer.pt leads out of the folder" in (damage_of(folder) or "")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../../elsewhere"] = manifest["files"].pop("optimizer.pt")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert damage_of(folder) == "manifest.json names '../../elsewhere', which is outside"


@pytest.mark.parametrize("text", ["[]", "{" * 5, '{"a":' * 9999, '{"step": 1e999}', '{"step": null}', "\x00"])
def test_a_manifest_that_is_none_is_damage(text: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, 10).folder / "step-000010"
    (folder / MANIFEST).write_text(text)
    assert damage_of(folder) == "manifest.json is not a manifest"


def test_with_a_key_only_what_it_signed_is_resumed(tmp_path: Path) -> None:
    manager = saved(tmp_path, 10, 20, key=KEY)
    assert newest(manager) == (20, [])
    (manager.folder / "step-000020" / "optimizer.pt").write_text("of another")
    with_manifest(manager.folder / "step-000020")
    step, damages = newest(manager)
    assert step == 10
    assert "step-000020 is damaged and not used: it is not signed with the key of GRPO_" in damages[0]


@pytest.mark.parametrize("key", [None, b"x" * 32])
def test_what_has_no_signature_or_that_of_another_key_is_not_resumed(key: bytes | None, tmp_path: Path) -> None:
    manager = saved(tmp_path, 10, key=key)
    manager.key = KEY
    assert newest(manager)[0] == 0


def test_without_a_key_a_signed_one_is_resumed(tmp_path: Path) -> None:
    manager = saved(tmp_path, 10, key=KEY)
    manager.key = None
    assert newest(manager) == (10, [])


def test_one_that_the_engine_refused_is_kept_under_another_name(tmp_path: Path) -> None:
    manager = saved(tmp_path, 10, 20)
    checkpoint, _ = manager.newest_good()
    assert checkpoint
    manager.set_aside(checkpoint)
    assert newest(manager) == (10, [])
    assert (manager.folder / "unusable-step-000020" / MANIFEST).is_file()
    assert manager.unusable == {20}


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read"), ("short", "5 bytes"), ("k" * 9999, "9,999")])
def test_a_key_file_that_is_none_is_refused_with_the_settings(content: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content:
        file.write_text(content)
    for name in ("GRPO_CHECKPOINT_KEY_PATH", "GRPO_RANKS_KEY_PATH"):
        with pytest.raises(InvalidRun, match=f"{name}: .*{told}"):
            resolve({name: str(file)})
