"""Standard output and error that outlive their reader: a closed terminal, a pipe without a reader, a full log disk.

Nothing that is printed may end a run, nor be taken for a fault of the run folder. Imports nothing of the job.
"""

import io
import os
import select
import sys
from contextlib import suppress
from typing import BinaryIO, TextIO, cast

STANDARD = (0, 1, 2)
PATIENCE_SECONDS = 5.0  # for a reader whose descriptor does not block; then the text is dropped


class _Lasting(io.FileIO):
    """Drops what cannot be written.

    Without a buffer, whose lock would not let a signal's handler print, and which would repeat a line that a signal's
    exception cut short.
    """

    def write(self, data: "bytes | memoryview", /) -> int:  # type: ignore[override]
        left = memoryview(data)
        with suppress(OSError, ValueError):
            while left:
                written = super().write(left)
                if written is None and not select.select([], [self], [], PATIENCE_SECONDS)[1]:
                    break  # the descriptor does not block, and its reader is too slow
                left = left[written or 0 :]
        return len(data)

    def seekable(self) -> bool:
        """The descriptor may become another one's, such as a terminal's."""
        return False


def lasting(descriptor: int, *, closefd: bool = True) -> TextIO:
    """A text stream over `descriptor` that never raises while writing; a line is written at once."""
    raw = cast(BinaryIO, _Lasting(descriptor, "w", closefd=closefd))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def outlive_readers() -> None:
    """Replace this process's own standard output and error by lasting ones."""
    if sys.stdout is sys.__stdout__:
        sys.stdout = lasting(1, closefd=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = lasting(2, closefd=False)


def open_closed() -> None:
    """Open /dev/null in place of standard streams that were closed at the start, before other files take their numbers.

    Python has None for such a stream.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)
    sys.stdout = sys.stdout or lasting(1, closefd=False)
    sys.stderr = sys.stderr or lasting(2, closefd=False)
