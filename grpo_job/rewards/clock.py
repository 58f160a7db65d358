"""A clock outside of the process, for work that is not ours: it rings whatever the work does to this process's alarms.

Rewards use SIGALRM themselves (math-verify does), catch what an alarm raises, or wait in native code that hears no
signal. So another process, which runs this file, keeps the time. It sends RING once a second; each ring raises in the
main thread. Work that catches all of them is given up; work that hears none ends with the process, by `_exit(4)`.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

RING = signal.SIGRTMIN + 7
RINGS = 5  # that raise; the next one gives up
DEAF_SECONDS = 10.0  # after the first ring, for work that hears none
# `_exit` as the handler of signal number 4 ends the process with code 4, without a line of Python.
LAST = signal.SIGILL
CODE = int(LAST)
_end: Callable[[int], None] = os._exit  # while a reward is called, `os._exit` is another function, see `exits.py`


def _give_up(reason: str) -> None:
    os.write(2, f"grpo-job: hopeless (exit {CODE})\n{reason}\n".encode())
    _end(CODE)


give_up: Callable[[str], object] = _give_up  # a run writes its ending first


class _Process:
    """The other process; one is enough, for work is done in the main thread."""

    def __init__(self) -> None:
        from grpo_job.outcomes import starting_a_process  # not in the other process, which starts at once

        self.of = os.getpid()
        command = [sys.executable, "-I", __file__, str(self.of)]
        with starting_a_process():
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def tell(self, seconds: float | None, reason: str = "") -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([seconds, DEAF_SECONDS, reason]).encode() + b"\n")
        self.process.stdin.flush()


_running: list[_Process] = []


def _process() -> _Process:
    if not _running or _running[0].of != os.getpid() or _running[0].process.poll() is not None:
        _running[:] = [_Process()]
    return _running[0]


@contextmanager
def rings(seconds: float, ring: BaseException, reason: str) -> Iterator[None]:
    """Within, after `seconds`, `ring` is raised once a second; in the main thread only.

    Work that goes on all the same ends the process with 4, and `reason` is told.
    """
    heard = 0
    working = True

    def hear(_number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        heard += working
        if heard > RINGS:
            give_up(reason)
        if working:
            raise ring

    libc: Any = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    others_handler = signal.signal(RING, hear)
    others_last = libc.signal(LAST, ctypes.cast(libc._exit, ctypes.c_void_p))
    process = _process()
    process.tell(seconds, reason)
    try:
        yield
    finally:
        working = False
        if process.of == os.getpid():  # not a process that the work forked
            process.tell(None)
        libc.signal(LAST, others_last)
        # Never its default, which would end the process: a last ring may be on its way.
        signal.signal(RING, others_handler if callable(others_handler) else signal.SIG_IGN)


def _keep_time(parent: int) -> None:
    """In the other process: each line sets or stops the clock; the end of them is the parent's."""
    known, due, last, reason = b"", None, 0.0, ""
    while True:
        if select.select([0], [], [], None if due is None else max(0.0, due - time.monotonic()))[0]:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, known = (known + read).split(b"\n")
            for line in lines:
                seconds, deaf, reason = json.loads(line)
                due = None if seconds is None else time.monotonic() + seconds
                last = (due or 0.0) + deaf
        elif due is not None and time.monotonic() >= last:
            os.write(2, f"grpo-job: hopeless (exit {CODE})\n{reason}\n".encode())
            os.kill(parent, LAST)
            due = None
        else:
            os.kill(parent, RING)
            due = min(time.monotonic() + 1.0, last)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's end is this one's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _keep_time(int(sys.argv[1]))
