"""Files that others wrote, looked at before they are opened: no pipes, no devices, no links out of a folder.

A link in a downloaded folder may lead to a private file, and a pipe or `/dev/zero` is read forever. Nothing here judges
what the files say, except that JSON is not nested beyond what any reader can take.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

MOST_TEXT = 2**26  # bytes; the largest tokenizer.json is half of that
DEEPEST = 100  # levels of JSON: readers below fail from about 300 on
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}  # fmt: skip


class NotPlain(ValueError):
    """Why a file is not opened, with the cure."""


def content_of(path: Path) -> bytes:
    """The bytes of a regular file that a user named. Raises `OSError`, and `RuntimeError` for a `~` without a home."""
    try:
        return _read(path.expanduser(), MOST_TEXT)
    except NotPlain as fault:
        raise OSError(errno.EINVAL, str(fault), str(path)) from fault


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """The text of a regular file of at most `most` bytes. Raises `NotPlain`, also if it is not UTF-8, and `OSError`."""
    try:
        return _read(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotPlain("it is not UTF-8") from error


def _read(path: Path, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer would block
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if fault := _fault_of_kind(found.st_mode) or _fault_of_size(found.st_size, most):
            raise NotPlain(fault)
        return file.read(most + 1)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a regular file. Raises `NotPlain`, also for other JSON or deep nesting, and `OSError`."""
    text = read_text(path)
    try:
        found = json.loads(text)
    except RecursionError:
        raise NotPlain(f"it is nested deeper than {DEEPEST} levels") from None
    except ValueError as error:
        raise NotPlain(f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise NotPlain(f"it holds a value of type {type(found).__name__}, not an object")
    if _is_deep(found):
        raise NotPlain(f"it is nested deeper than {DEEPEST} levels")
    if SURROGATE.search(text) and not _is_writable(found):
        raise NotPlain("it holds half of a surrogate pair (such as \\ud800 alone), which is no text")
    return found


def _is_writable(value: Any) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


def require_within(folder: Path, *, skip: Collection[str] = (), links: Collection[str] = ()) -> None:
    """Raises `NotPlain` for the first entry below `folder` that is no plain file or folder, or leads out of it.

    Entries in `skip`, names at the top, are not looked at. Files whose suffix is in `links` may lead anywhere. A
    snapshot in the Hub's cache links to the blobs beside it.
    """
    root = Path(os.path.realpath(folder))
    rooms = [root, root.parents[1] / "blobs"] if root.parent.name == "snapshots" else [root]
    for path in _entries(root, skip):
        target = Path(os.path.realpath(path))  # unlike `resolve`, it takes links in a circle
        if not any(target.is_relative_to(room) for room in rooms) and path.suffix not in links:
            why = "leads out of the folder; remove it, or put a copy of what it leads to there"
            raise NotPlain(f"{_shown(path, root)} {why}")
        fault = "" if path.is_dir() else _fault_of_kind(_mode_of(path))
        if fault:
            raise NotPlain(f"{_shown(path, root)}: {fault}; remove it")


def require_shallow(folder: Path, *, skip: Collection[str] = ()) -> None:
    """Raises `NotPlain` for the first JSON file below `folder` that is too long, or nested too deeply for its readers.

    What is no JSON is left to who reads it, and a tokenizer to its library.
    """
    root = Path(os.path.realpath(folder))
    for path in _entries(root, skip):
        if path.suffix not in (".json", ".jsonl") or path.name == "tokenizer.json" or not path.is_file():
            continue
        with suppress(FileNotFoundError), path.open("rb") as file:  # another attempt may remove its own
            read = partial(file.readline if path.suffix == ".jsonl" else file.read, MOST_TEXT + 1)
            texts = iter(read, b"")
            if any(len(text) > MOST_TEXT or _is_nested(text) for text in texts):
                why = f"is longer than {MOST_TEXT:,} bytes or nested deeper than {DEEPEST} levels; remove it"
                raise NotPlain(f"{_shown(path, root)} {why}")


def _is_nested(line: bytes) -> bool:
    """Whether a text is JSON of too many levels; most texts do not hold that many brackets."""
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False
    try:
        return _is_deep(json.loads(line))
    except RecursionError:
        return True
    except ValueError:
        return False


def _entries(root: Path, skip: Collection[str]) -> Iterator[Path]:
    """Links are entries, and not followed."""
    for place, folders, names in os.walk(root):
        if Path(place) == root:
            folders[:] = [name for name in folders if name not in skip]
        yield from (Path(place, name) for name in sorted([*folders, *names]))


def _mode_of(path: Path) -> int:
    """That of an empty file for one that is gone: a link to nothing, or a file that another attempt just removed."""
    try:
        return path.stat().st_mode
    except OSError:
        return stat.S_IFREG


def _shown(path: Path, root: Path) -> str:
    name = str(path.relative_to(root))
    return name if name.isprintable() else ascii(name)


def _fault_of_kind(mode: int) -> str:
    return "" if stat.S_ISREG(mode) else f"it is {KINDS.get(stat.S_IFMT(mode), 'no file')}, not a file"


def _fault_of_size(size: int, most: int) -> str:
    return f"it has {size:,} bytes; allowed: at most {most:,}" if size > most else ""


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
