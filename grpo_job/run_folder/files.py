"""Reads files, and writes them atomically and without secrets."""

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grpo_job.settings.redaction.redactor import REDACTOR


def write_json(path: Path, value: Any) -> None:
    """Replace `path` atomically by `value` as indented JSON."""
    write_bytes(path, (json.dumps(REDACTOR.value(value), indent=1, ensure_ascii=False) + "\n").encode())


def write_text(path: Path, text: str) -> None:
    """Replace `path` atomically by `text` without secrets, flushed to disk."""
    # Half a surrogate pair comes from a third party's JSON.
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


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Replace `path` atomically by one JSON object per line."""
    write_bytes(path, "".join(map(_line, rows)).encode())


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append one JSON object per line; a reader may see an incomplete last line."""
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(map(_line, rows))


def _line(row: dict[str, Any]) -> str:
    return json.dumps(REDACTOR.value(row), ensure_ascii=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty if the file is missing."""
    if not path.is_file():
        return {}
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All complete lines of `path`, without a truncated last one."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
