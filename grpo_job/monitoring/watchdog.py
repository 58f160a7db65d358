"""Notices that a run has stopped making progress, and ends it with the stacks of all threads in the log.

`beat` is called at every sign of progress; it also touches the heartbeat file, which liveness probes
look at. A step may take ten times the usual; before steps are known, and outside training, where
downloads and compilers are silent for long, bytes written count as progress, and so does processor
time, for an hour: a loop without an end uses it too.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import psutil

LEAST_SECONDS = 300.0
BUSY_SECONDS = 3600.0
MEDIANS = 10
MEDIAN_OF = 50
TICK_SECONDS = 5.0
# A process that only waits, with its threads looking around, uses less.
BUSY_SHARE = 0.05
BUSY_BYTES = 100_000


class Watchdog:
    """One for an attempt. `on_hang` is called in its thread, with the reason."""

    def __init__(
        self,
        heartbeat: Path,
        on_hang: Callable[[str], object],
        *,
        log: int = 2,
        least_seconds: float = LEAST_SECONDS,
        busy_seconds: float = BUSY_SECONDS,
        tick_seconds: float = TICK_SECONDS,
        work_done: Callable[[], tuple[float, float]] | None = None,
    ) -> None:
        """`log`: the file descriptor that stacks are written to. `busy_seconds`: how long mere work is progress."""
        self.heartbeat, self.on_hang, self.log = heartbeat, on_hang, log
        self.least_seconds, self.busy_seconds, self.tick_seconds = least_seconds, busy_seconds, tick_seconds
        self.step_seconds: Sequence[float] = ()
        self.steps_tell = False  # while training: nothing but steps and their parts counts as progress
        self._work_done = work_done or _work_done
        self._work = (0.0, 0.0)
        self._quiet = self._busy = 0.0
        self._over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self.beat()
        self._work = self._work_done()
        self.thread.start()

    def stop(self) -> None:
        self._over.set()
        faulthandler.cancel_dump_traceback_later()

    def beat(self) -> None:
        """A sign of progress."""
        self._quiet = self._busy = 0.0
        self.heartbeat.touch()

    @contextmanager
    def steps(self, seconds: Sequence[float]) -> Iterator[None]:
        """Within: nothing but steps, and their parts, counts as progress. `seconds` grows by each one's."""
        self.step_seconds, self.steps_tell = seconds, True
        try:
            yield
        finally:
            self.step_seconds, self.steps_tell = (), False

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """Within: something else is done for a while."""
        self.steps_tell = False
        try:
            yield
        finally:
            self.beat()
            self.steps_tell = True

    @property
    def limit(self) -> float:
        """Seconds without progress that are too many."""
        if not self.step_seconds:
            return self.least_seconds
        return max(self.least_seconds, MEDIANS * median(self.step_seconds[-MEDIAN_OF:]))

    def stale_for(self) -> float:
        """Seconds without progress, if they are too many; else 0."""
        return self._quiet if self._quiet >= self.limit else 0.0

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(self.tick_seconds):
            now = time.monotonic()
            # A process that was frozen, or a machine that slept, did not hang in that time. From outside of Python,
            # where it is for twice the limit, frozen and stuck are the same.
            self._quiet += min(now - before, 2 * self.tick_seconds)
            if not (self.steps_tell and self.step_seconds):
                self._look_at_the_machine(now - before)
            before = now
            if quiet := self.stale_for():
                os.write(self.log, b"grpo-job: the stacks of all threads:\n")
                faulthandler.dump_traceback(self.log, all_threads=True)
                self.on_hang(f"no progress for {quiet:.0f} s; the stacks of all threads are in the log")
                return
            # Where C code keeps the interpreter to itself this thread cannot run; one outside of Python can.
            faulthandler.dump_traceback_later(2 * self.limit, exit=True, file=self.log)
        faulthandler.cancel_dump_traceback_later()  # `stop` may have come between the look and the line above

    def _look_at_the_machine(self, seconds: float) -> None:
        """Where no steps tell of progress, its work does."""
        before, self._work = self._work, self._work_done()
        with suppress(OSError):  # a disk that cannot be written is for the run to find
            if self._work[1] - before[1] > BUSY_BYTES:
                self.beat()
            elif self._work[0] - before[0] > BUSY_SHARE * seconds:
                busy = self._busy + seconds
                self.beat()
                self._busy = busy
                self._quiet = busy if busy >= self.busy_seconds else 0.0


def _work_done() -> tuple[float, float]:
    """Seconds of processor time and bytes written, of this process and its children."""
    seconds = written = 0.0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
            seconds += times.user + times.system
            written += process.io_counters().write_chars
        except (psutil.Error, AttributeError, OSError):  # a child that just ended; a system that does not count
            continue
    return seconds, written
