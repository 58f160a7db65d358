"""Reads weights from disk and starts the GPU driver in threads while libraries are imported.

Nothing depends on it: where a thread fails or comes late, the libraries do the same themselves, and report its faults.
"""

import ctypes
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

PIECE = 16 << 20  # bytes
SHARE_OF_MEMORY = 0.5  # of what is available: weights that the memory cannot hold would be read twice


def begin(folder: Path) -> None:
    """Bring the weights of `folder` into the page cache and the first GPU's context into being. Returns at once."""
    _in_background(lambda: read_ahead(sorted(folder.glob("*.safetensors")), psutil.virtual_memory().available))
    _in_background(make_context)


def read_ahead(files: Iterable[Path], memory: float) -> int:
    """Read the files one after the other, if this memory holds them; the bytes that were read."""
    files = list(files)
    if sum(file.stat().st_size for file in files) > SHARE_OF_MEMORY * memory:
        return 0
    piece, total = bytearray(PIECE), 0
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while read := opened.readinto(piece):  # without the lock of the interpreter
                total += read
    return total


def make_context() -> None:
    """The context that PyTorch shares with all who ask the driver for the primary one. Without PyTorch."""
    driver = ctypes.CDLL("libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0:
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)


def _in_background(work: Callable[[], object]) -> None:
    def quietly() -> None:
        with suppress(Exception):
            work()

    with suppress(RuntimeError):  # no more threads
        threading.Thread(target=quietly, daemon=True, name="head start").start()
