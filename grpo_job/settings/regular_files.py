"""Reads a whole file that a user named: a regular one, because a device or a pipe may never end."""

import errno
import os
from pathlib import Path


def content_of(path: Path) -> bytes:
    """The bytes of a regular file of at most 64 MB. Raises `OSError`, and `RuntimeError` for a `~` without a home."""
    place = path.expanduser()
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "it is a device or a pipe, and not a file", str(path))
    with place.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, "it is larger than 64 MB", str(path))
    return content


MOST_BYTES = 64 << 20
