"""A full or locked disk is told from other failures, and the cure is named."""

import errno
import os
from pathlib import Path

import pytest

from grpo_job.runtime.resource_errors import disk_trouble, in_the_way

FOLDER = Path("/run/folder")


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "mount it writable"),
        (errno.EACCES, "restore it for the job's user"),
        (errno.EIO, "replace it"),
        (errno.ESTALE, "mount it again"),
    ],
)
def test_an_error_of_the_disk_names_its_cure(number: int, cure: str) -> None:
    told = disk_trouble(OSError(number, "words"), FOLDER)
    assert told is not None
    assert cure in told
    assert told.startswith("/run/folder cannot be written any more")


@pytest.mark.parametrize(
    "words",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        "[enforce fail at inline_container.cc:668] . unexpected pos: No space left",
        "Error while serializing: I/O error: Disk quota exceeded (os error 122)",
    ],
)
def test_what_libraries_raise_in_its_place_is_understood(words: str) -> None:
    assert "free some space" in (disk_trouble(RuntimeError(words), FOLDER) or "")


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk quota"), (0, None)]
)
@pytest.mark.parametrize(
    "words", ["basic_ios::clear: iostream error", "[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"]
)
def test_what_torch_raises_without_saying_why_is_what_writing_raises_now(
    words: str, number: int, cure: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(descriptor: int) -> None:
        if number:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)
    told = disk_trouble(RuntimeError(words), tmp_path)
    assert cure in (told or "") if cure else told is None


def test_an_error_behind_another_is_seen() -> None:
    error = RuntimeError("could not save")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "free some space" in (disk_trouble(error, FOLDER) or "")


@pytest.mark.parametrize("error", [ValueError("NaN"), FileNotFoundError(2, "no such file"), RuntimeError("CUDA")])
def test_other_failures_are_none_of_the_disks(error: Exception) -> None:
    assert disk_trouble(error, FOLDER) is None


def test_a_file_elsewhere_is_not_blamed_on_the_run_folder() -> None:
    told = disk_trouble(OSError(errno.ENOSPC, "No space left", "/tmp/elsewhere"), FOLDER)
    assert (told or "").startswith("/tmp/elsewhere cannot be written any more")


def test_a_limit_on_the_size_of_files_is_named() -> None:
    assert "ulimit -f" in (disk_trouble(OSError(errno.EFBIG, "File too large"), FOLDER) or "")


def test_a_folder_in_the_place_of_a_file_is_named_only_within_the_run_folder() -> None:
    error = IsADirectoryError(errno.EISDIR, "Is a directory", "/run/folder/adapter/README.md")
    assert (in_the_way(error, FOLDER) or "").startswith("/run/folder/adapter/README.md is in the way")
    assert in_the_way(error, Path("/elsewhere")) is None
