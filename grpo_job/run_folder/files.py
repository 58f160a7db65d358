"""Reads files, and writes them atomically and without secrets. What is damaged is never a traceback: see `Damaged`."""

import errno
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from grpo_job.outcomes import InvalidRun, Unexpected, in_one_line
from grpo_job.settings.redaction.redactor import REDACTOR

Record = dict[str, Any]
VANISHED = "was removed while the run was going on"
FIND_OUT = "find out what removes or unmounts it, and run the same command again"
# Another kind of thing is at the path, or this user may not read it: no retry gets past these.
IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG)


class Damaged(InvalidRun):
    """A file that is not what the job wrote. Who can do without it catches this, and warns with its message."""

    def __init__(self, path: Path, why: str) -> None:
        self.sentence = f"{path} is damaged ({why})"
        super().__init__(f"{self.sentence}: restore it or remove it, and run the same command again")


def write_json(path: Path, value: Any) -> None:
    """Replace `path` atomically by `value` as indented JSON."""
    text = json.dumps(REDACTOR.value(value), indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"))  # half a surrogate pair, from a third party's JSON


def write_text(path: Path, text: str) -> None:
    """Replace `path` atomically by `text` without secrets, flushed to disk."""
    write_bytes(path, REDACTOR.text(text).encode(errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` atomically by `content`, flushed to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # With the thread id, because at the end of the grace period a second thread writes the same file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def share_as_folder(folder: Path) -> None:
    """Give the files in `folder` the rights of the folder: safetensors makes its own the user's alone."""
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(folder.stat().st_mode & 0o666)


def flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_jsonl(path: Path, rows: Iterable[Record]) -> None:
    """Replace `path` atomically by one JSON object per line."""
    write_bytes(path, "".join(_lines(rows)).encode(errors="backslashreplace"))


def append_jsonl(path: Path, rows: Iterable[Record]) -> None:
    """Append one JSON object per line; a reader may see an incomplete last line."""
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(_lines(rows))


def _lines(rows: Iterable[Record]) -> Iterator[str]:
    """Redacted together, which takes less than one by one."""
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in REDACTOR.value([*rows]))


class Log:
    """A JSONL file that this process appends to, and that nobody may shorten or remove meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes = path, _bytes_of(path)

    def assert_whole(self) -> None:
        """Raises `Unexpected` if lines are gone: the next checkpoint would lack them too."""
        if _bytes_of(self.path) < self.bytes:
            raise Unexpected(f"{self.path} {VANISHED}: {FIND_OUT}")

    def append(self, rows: Iterable[Record]) -> None:
        self.assert_whole()
        append_jsonl(self.path, rows)
        self.bytes = _bytes_of(self.path)


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def read_json(path: Path, shape: Any = Record) -> Record:
    """The object in `path`; empty if the file is missing. Raises `Damaged` if it is not of that `shape`, a type."""
    text = read_text(path)
    return {} if text is None else parsed(path, text, shape)


def read_jsonl(path: Path, shape: Any = Record) -> list[Record]:
    """All complete lines of `path`, without a truncated last one. Raises `Damaged` if one is not of that `shape`."""
    lines = (read_text(path) or "").split("\n")
    return [parsed(path, line, shape, number) for number, line in enumerate(lines[:-1], start=1) if line]


def read_text(path: Path) -> str | None:
    """The text in `path`; None if the file is missing. Raises `Damaged` if it is no text, or nothing to be read."""
    try:
        if path.exists() and not path.is_file():
            raise Damaged(path, "it is no file")
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise Damaged(path, f"it is no text in UTF-8: {in_one_line(error)}") from error
    except OSError as error:
        if error.errno in IN_THE_WAY:
            raise Damaged(path, f"it cannot be read: {error.strerror}") from error
        raise


@cache
def _checker(shape: Any) -> TypeAdapter[Any]:
    """Made once: that takes 0.1 ms, and a run of 250 steps has 32,000 completions to read for its report."""
    return TypeAdapter(shape)


def parsed(path: Path, text: str, shape: Any = Record, line: int = 0) -> Record:
    """The JSON in `text`, the content of `path` or its `line`. Raises `Damaged` if it is not of that `shape`."""
    at = f"line {line}: " if line else ""
    try:
        loaded = json.loads(text)
        _checker(shape).validate_python(loaded, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the value"
        raise Damaged(path, f"{at}{key}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Damaged(path, f"{at}{in_one_line(error)}") from error
    found: Record = loaded
    return found


def remove(path: Path) -> None:
    """Remove the file, link or whole folder at `path`, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
