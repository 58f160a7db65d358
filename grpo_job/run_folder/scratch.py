"""Temporary folders for what a process fetched: removed when it ends by itself, and else when the next one makes some.

A process holds a lock on each of its folders. So whoever can lock one knows that its process was killed, also where
process ids tell nothing, as among containers that share a folder for temporary files.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".scratch"
_made: dict[Path, int] = {}  # folder -> descriptor with its lock


def folder(what: str) -> Path:
    """A new folder, to the end of the process; `what` is part of its name."""
    _remove_left()
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"grpo-job-{what}-", suffix=SUFFIX))
        with suppress(FileNotFoundError):  # another process locked it first, and took it for left
            _made[path] = os.open(path, os.O_RDONLY)
            with suppress(OSError):  # where there are no locks, nobody can take it for left
                fcntl.flock(_made[path], fcntl.LOCK_EX)
            if path.is_dir():
                return path
            _remove(path)


@contextmanager
def temporary(what: str) -> Iterator[Path]:
    """A new folder, to the end of the block."""
    path = folder(what)
    try:
        yield path
    finally:
        _remove(path)


def remove() -> None:
    """Remove them all: nothing in them is needed any more."""
    for path in list(_made):
        _remove(path)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if (descriptor := _made.pop(path, None)) is not None:
        os.close(descriptor)


def _remove_left() -> None:
    """Remove the folders of this user's killed processes."""
    for path in Path(tempfile.gettempdir()).glob(f"grpo-job-*{SUFFIX}"):
        with suppress(OSError):  # it is gone, in use, or nothing that we made
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
