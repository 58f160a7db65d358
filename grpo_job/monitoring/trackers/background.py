"""A tracker in a thread of its own: training never waits for a server that accepts a call and does not answer.

All calls of one tracker are made in the same thread, in order, because MLflow and trackio keep the open run per thread.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from grpo_job.monitoring.trackers.backends import Tracker

OPEN_SECONDS = 60.0  # with the import of its package
CALL_SECONDS = 10.0
CLOSE_SECONDS = 30.0
WAIT_FOR_OPEN = 20.0  # so that what a package does at import is over before training, in all usual cases


class TooSlow(Exception):
    """A tracker did not answer within its time."""


class InBackground:
    """A `Tracker` whose methods return at once; each raises what an earlier call raised, or that it takes too long."""

    done = -1  # the thread compares steps with what the tracker holds

    def __init__(self, open_it: Callable[[], Tracker]) -> None:
        self._calls: queue.SimpleQueue[tuple[float, Callable[[Tracker], object]]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._ends = time.monotonic() + OPEN_SECONDS  # of the call that is being made
        self._left = 1  # calls, with the one being made
        threading.Thread(target=self._work, args=(open_it,), daemon=True, name="tracker").start()
        self._wait(WAIT_FOR_OPEN)
        self._assert_well()

    def log(self, step: int, metrics: Mapping[str, float], *, more: bool = False) -> None:
        """`more`: of a step that the tracker may hold already."""
        self._call(lambda tracker: tracker.log(step, metrics) if more or step > tracker.done else None, CALL_SECONDS)

    def keep(self, report: Path) -> None:
        self._call(lambda tracker: tracker.keep(report), CALL_SECONDS)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait until everything is sent, at most `seconds`."""
        self._call(lambda tracker: tracker.close(), CLOSE_SECONDS)
        sent = self._wait(seconds)
        self._assert_well()
        if not sent:
            raise TooSlow(f"not everything was sent within {seconds:.0f} s")

    def _call(self, call: Callable[[Tracker], object], seconds: float) -> None:
        self._assert_well()
        with self._changed:
            if not self._left:
                self._ends = time.monotonic() + seconds
            self._left += 1
        self._calls.put((seconds, call))

    def _assert_well(self) -> None:
        with self._changed:
            if self._error:
                raise self._error
            if self._is_late():
                raise TooSlow("its server does not answer")

    def _is_late(self) -> bool:
        return bool(self._left) and time.monotonic() > self._ends

    def _wait(self, seconds: float) -> bool:
        """Whether all calls were made within `seconds`; returns early where one fails or takes too long."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._left and not self._error and not self._is_late() and time.monotonic() < end:
                self._changed.wait(max(0.0, min(end, self._ends) - time.monotonic()) + 0.01)
            return not self._left

    def _work(self, open_it: Callable[[], Tracker]) -> None:
        try:
            tracker = open_it()
            while True:
                self._made()
                seconds, call = self._calls.get()
                with self._changed:
                    self._ends = time.monotonic() + seconds
                call(tracker)
        except Exception as error:  # whatever its package raises, training goes on without it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _made(self) -> None:
        with self._changed:
            self._left -= 1
            self._ends = time.monotonic() + CALL_SECONDS  # the next call begins at once
            self._changed.notify_all()
