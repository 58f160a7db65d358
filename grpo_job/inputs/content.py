"""The text of a file: its compression and encoding are found by its first bytes, not by its name."""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Item = dict[str, Any]  # one row as it was read

COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
MOST_UNPACKED = 2**30  # bytes: a few kilobytes can stand for all memory
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}


class Damaged(ValueError):
    """A file that cannot be read as rows: the line or the row, what is there, and the cure."""


def text_of(path: Path) -> str:
    """The file's text without a byte-order mark: UTF-8, or UTF-16 and UTF-32 as their first bytes show."""
    content = _decompressed(path)
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(error.encoding, "ignore")
        raise Damaged(
            f"line {before.count(chr(10)) + 1} holds the byte 0x{error.object[error.start]:02x}, which is not "
            f"{error.encoding.upper()}; save the file as UTF-8"
        ) from error


def _decompressed(path: Path) -> bytes:
    content = path.read_bytes()
    kind = next((kind for magic, kind in MAGIC.items() if content.startswith(magic)), None)
    if not kind:
        return content
    try:
        with OPEN[kind](content) as stream:
            whole: bytes = stream.read(MOST_UNPACKED + 1)
    except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise Damaged(f"its {kind} data is truncated or damaged ({error}); copy the file again") from error
    if len(whole) > MOST_UNPACKED:
        raise Damaged(f"its {kind} data unpacks to more than {MOST_UNPACKED:,} bytes; unpack it, and split the file")
    return whole


def _zstd(content: bytes) -> Any:
    import pyarrow

    return pyarrow.input_stream(pyarrow.py_buffer(content), compression="zstd")


OPEN: dict[str, Callable[[bytes], Any]] = {
    "gzip": lambda content: gzip.GzipFile(fileobj=io.BytesIO(content)), "zstd": _zstd,
    "bz2": lambda content: bz2.BZ2File(io.BytesIO(content)), "xz": lambda content: lzma.LZMAFile(io.BytesIO(content)),  # noqa: SIM115
}  # fmt: skip
