"""SIGTERM and SIGINT, from the first instruction of the process to the last.

Outside training the signal raises `Interrupted` where the main thread stands. While training it
only sets `asked`, and the engine stops at the next step boundary with a checkpoint. When the
grace period ends first, a thread ends the process: a handler cannot run inside a long C call.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from grpo_job.failures import EXIT_INTERRUPTED, Interrupted


class StopNow(BaseException):
    """Raised by the handler. Not an `Exception`, so that no library takes it for a failed attempt."""


class Interruption:
    """What the process was asked, and how it answers."""

    def __init__(self) -> None:
        self.asked: str | None = None
        self.grace_seconds = 25.0
        self.before_exit: Callable[[str], None] = lambda reason: None
        self._waits_for_boundary = False

    def install(self) -> "Interruption":
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        return self

    @contextmanager
    def at_step_boundary(self) -> Iterator[None]:
        """Within: a signal is only noted. Raises `Interrupted` behind it when one came."""
        self._waits_for_boundary = True
        try:
            yield
        finally:
            self._waits_for_boundary = False
        self.raise_if_asked()

    def raise_if_asked(self) -> None:
        """Catches a signal whose exception a library swallowed."""
        if self.asked:
            raise Interrupted(f"{self.asked} was received")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.asked:
            self._end(f"{name} was received a second time")
        self.asked = name
        timer = threading.Timer(self.grace_seconds, self._end, [f"{name} was received; the grace period ended"])
        timer.daemon = True
        timer.start()
        if not self._waits_for_boundary:
            raise StopNow(name)

    def _end(self, reason: str) -> None:
        try:
            self.before_exit(reason)
            print(f"grpo-job: {reason}", file=sys.stderr, flush=True)
        finally:
            os._exit(EXIT_INTERRUPTED)
