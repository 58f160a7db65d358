"""Handles SIGTERM, SIGINT and SIGHUP, from the first instruction of the process to the last.

Outside training the signal raises `StopNow` in the main thread. During training it is only noted, and the engine stops
at the next step boundary with a checkpoint. If the grace period ends first, a thread ends the process. A pipe tells
that thread of the signal, because the handler itself cannot run while the main thread is inside C.

Python discards what is raised in a destructor or an at-fork hook, and a signal during a fork may be delivered to
another thread, which does not wake the main one. So the grace thread wakes the main thread until it has reacted.

A terminal that closes sends SIGHUP, and its output can no longer be written; `nohup` has SIGHUP ignored at the start.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, NoReturn

from grpo_job.monitoring import streams
from grpo_job.outcomes import Interrupted, Outcome, StopNow

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WAKE = signal.SIGURG  # ignored by default, so it does no harm to a process without our handler
LOOK_SECONDS = 0.5
_end = os._exit  # while a reward is called, `os._exit` is another function, see `rewards/exits.py`


class _Fork(threading.local):
    """The fork that this thread is making; each thread may fork."""

    under_way = False
    mask_before: Set[int] = frozenset()


_fork = _Fork()


class Interruption:
    """The signal that this process received, and what happens then.

    `before_exit` is called with the reason when the process ends at once, and returns the outcome. `on_end` is called
    with the outcome last of all. `give_up_reason` returns why to end before the grace period is over, or "".
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self.grace_seconds = 25.0
        self.before_exit: Callable[[str], Outcome] = _interrupted
        self.second_signal_ends = True
        self.give_up_reason: Callable[[], str] = str
        self.on_end: Callable[[Outcome], object] = lambda ending: None
        self.facts: Callable[[], Mapping[str, Any]] = dict  # what is known of the run, for `on_end`
        self.hide: Callable[[str], str] = str  # secrets; set once they are known
        self._waits_for_boundary = False
        self._asked_at = 0.0
        self._discarded = False
        self._report_unraisable = sys.unraisablehook
        streams.open_closed()
        self._ear, self._mouth = os.pipe()
        self.stderr = os.dup(2)  # a copy, because the output of libraries may be redirected

    def install(self) -> "Interruption":
        """Handle signals from now on. Only the main thread may call it."""
        streams.outlive_readers()
        os.set_blocking(self._mouth, False)
        signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        threading.Thread(target=self._end_after_grace, name="grace-period", daemon=True).start()
        for number in SIGNALS:
            if not _is_nohup(number):
                signal.signal(number, self._handle)
        signal.signal(WAKE, self._raise_again)
        _register_fork_hooks()
        sys.unraisablehook = self._note_discarded
        return self

    @contextmanager
    def at_step_boundary(self) -> Iterator[None]:
        """Within, a signal is only noted. Raises `Interrupted` before or after it if there was one."""
        self.raise_if_asked()
        with self.noted():
            yield
        self.raise_if_asked()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Within, a signal is only noted; the process ends when the grace period is over."""
        self._waits_for_boundary = True
        try:
            yield
        finally:
            self._waits_for_boundary = False

    def ask(self, reason: str) -> None:
        """Act as after a signal, for one that another process of this run received."""
        if not self.asked:
            self.asked, self._asked_at = reason, time.monotonic()

    def raise_if_asked(self) -> None:
        """Raises `Interrupted` after a signal whose exception a library swallowed."""
        if self.asked:
            self._discarded = False
            raise Interrupted(f"{self.asked} was received")

    def grace_left(self) -> float:
        """Seconds until the process ends itself, minus one to write the outcome."""
        return max(0.0, self._asked_at + self.grace_seconds - 1.0 - time.monotonic())

    def close(self) -> None:
        """Ignore signals from now on: the run is done."""
        for number in SIGNALS:
            if signal.getsignal(number) == self._handle:
                # A restarted process would take an ignored SIGHUP for nohup's.
                signal.signal(number, _do_nothing if number == signal.SIGHUP else signal.SIG_IGN)

    def end(self, reason: str, ending: Outcome) -> NoReturn:
        """End the process now, from any thread."""
        try:
            self.on_end(ending)
            os.write(self.stderr, f"grpo-job: {self.hide(reason)}\n".encode())
        finally:
            _end(ending.code)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.asked:
            if self.second_signal_ends and number != signal.SIGHUP:  # a terminal's kernel and shell each send one
                self._end(f"{name} was received a second time")
            return
        self._asked_at = time.monotonic()
        self.asked = name
        os.write(self._mouth, bytes([number]))  # again, because a library may have replaced the wakeup fd
        self._stop()

    def _stop(self) -> None:
        if self._waits_for_boundary:
            return
        self._discarded = _fork.under_way  # `_unblock` must run to its end
        if not _fork.under_way:
            raise StopNow(self.asked)

    def _note_discarded(self, unraisable: "sys.UnraisableHookArgs") -> None:
        if unraisable.exc_type is StopNow:
            self._discarded = True
        else:
            self._report_unraisable(unraisable)

    def _raise_again(self, number: int, frame: FrameType | None) -> None:
        if self._discarded:
            self._stop()

    def _end_after_grace(self) -> None:
        while (number := os.read(self._ear, 1)[0]) not in SIGNALS:
            pass  # every signal with a handler is written here, such as a library's alarm
        name, end = signal.Signals(number).name, time.monotonic() + self.grace_seconds
        while (left := end - time.monotonic()) > 0:
            if reason := self.give_up_reason():
                self._end(reason)
            if self._discarded or not self.asked:
                signal.pthread_kill(threading.main_thread().ident or 0, WAKE)
            time.sleep(min(left, LOOK_SECONDS))
        self._end(f"{name} was received; the {self.grace_seconds:g} seconds of grace are over")

    def _end(self, reason: str) -> None:
        ending = _interrupted(reason)
        try:
            ending = self.before_exit(reason)
        finally:
            self.end(reason, ending)


def _is_nohup(number: int) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """For a signal that comes too late."""


def _interrupted(reason: str) -> Outcome:
    return Interrupted(reason).outcome()


@cache
def _register_fork_hooks() -> None:
    """Once per process: hooks that are registered twice would save the blocked mask."""
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_reset_in_child)


def _block() -> None:
    """A child that receives a signal before its handlers are reset would write to its parent's pipe."""
    _fork.under_way = True
    _fork.mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _unblock() -> None:
    if _fork.under_way:  # False if a signal was raised in place of the first line of `_block`
        signal.pthread_sigmask(signal.SIG_SETMASK, _fork.mask_before)
        _fork.under_way = False


def _reset_in_child() -> None:
    """A forked child dies from a signal, as its parent expects, and does not write to the parent's pipe."""
    signal.set_wakeup_fd(-1)
    for number in (*SIGNALS, WAKE):
        if not _is_nohup(number):
            signal.signal(number, signal.SIG_DFL)
    _unblock()
