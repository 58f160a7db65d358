"""A run folder with files of another user is refused before anything is trained, with the setting and the files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder.paths import RunFolder

Forbid = Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run").open()
    for kept in (folder.adapter, folder.lease, folder.checkpoints / "step-000002", folder.checkpoints / ".partial/a"):
        kept.mkdir(parents=True)
    folder.metrics.touch()
    return folder


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Forbid:
    """Let the tests' user, who may do anything as root, neither read nor write this path."""
    access = os.access

    def forbidden(path: Path) -> None:
        monkeypatch.setattr(os, "access", lambda asked, mode: mode == os.F_OK if asked == path else access(asked, mode))

    return forbidden


@pytest.mark.parametrize("name", ["adapter", "metrics.jsonl", "checkpoints/step-000002", "checkpoints/.partial/a"])
def test_what_this_user_cannot_write_is_refused_when_the_folder_is_opened(
    name: str, folder: RunFolder, forbid: Forbid
) -> None:
    forbid(folder.path / name)
    with pytest.raises(InvalidRun, match=f"^GRPO_OUTPUT_DIR: {folder.path / name} cannot be read and written by this"):
        folder.open()


def test_a_folder_that_cannot_be_looked_into_is_refused(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, pattern: str) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "glob", forbidden)
    with pytest.raises(InvalidRun, match=f"^GRPO_OUTPUT_DIR: {folder.lease} cannot be read and written by this user"):
        folder.open()


def test_a_result_that_cannot_be_read_is_lacking(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", forbidden)
    assert folder.lacks({"adapter": {"sha256": "a1"}}) == f"{folder.settings} cannot be read"
