"""Temporary folders that a process needs to its end, such as what it fetched; removed when it ends by itself."""

import shutil
import tempfile
from pathlib import Path

_made: list[Path] = []


def folder(what: str) -> Path:
    """A new folder; `what` is part of its name."""
    _made.append(Path(tempfile.mkdtemp(prefix=f"grpo-job-{what}-")))
    return _made[-1]


def remove() -> None:
    """Remove them all: nothing in them is needed any more."""
    while _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)
