"""The text of a file: its compression and encoding are found by its first bytes, not by its name."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
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
    try:
        return DECOMPRESS[kind](content) if kind else content
    except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise Damaged(f"its {kind} data is truncated or damaged ({error}); copy the file again") from error


def _zstd(content: bytes) -> bytes:
    import pyarrow

    with pyarrow.input_stream(pyarrow.py_buffer(content), compression="zstd") as stream:
        whole: bytes = stream.read()
    return whole


DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress, "zstd": _zstd, "bz2": bz2.decompress, "xz": lzma.decompress,
}  # fmt: skip
