"""Files that another user left in the run folder are one sentence, or no obstacle."""

import os
from pathlib import Path
from typing import Any

import pytest

from grpo_job.checkpoints.lease import HolderLocks
from grpo_job.outcomes import InvalidRun


def test_a_folder_of_locks_that_cannot_be_written_is_refused_with_the_variable(tmp_path: Path) -> None:
    (tmp_path / "lease").write_text("a file in the way")
    with pytest.raises(InvalidRun, match=r"GRPO_OUTPUT_DIR: .*/lease cannot be written \(File exists\)"):
        HolderLocks(tmp_path / "lease").lock()


def test_a_lock_that_may_only_be_read_tells_whether_its_holder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def read_only(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *more, **named)

    held = HolderLocks(tmp_path)
    held.lock()
    (tmp_path / "gone.lock").touch()
    monkeypatch.setattr(os, "open", read_only)
    mine = HolderLocks(tmp_path)
    assert mine.is_gone("gone")
    assert not mine.is_gone(held.holder)


def test_a_lock_that_may_not_be_read_counts_as_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.lock").touch()

    def forbidden(path: Any, *_: Any) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", forbidden)
    assert not HolderLocks(tmp_path).is_gone("other")
