"""Detects that a run makes no progress, and ends it with the stacks of all threads in the log.

`beat` is called at each sign of progress; it also touches the heartbeat file, which liveness probes check. A step may
take ten times the median. Before the first step and outside training, where downloads and compilers are silent for a
long time, bytes written count as progress, and so does processor time, but only for an hour, because an endless loop
uses it too.
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
# A process that only waits, with its polling threads, uses less.
BUSY_SHARE = 0.05
BUSY_BYTES = 100_000


class Watchdog:
    """One per attempt. `on_hang` is called in its thread, with the reason."""

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
        """`log`: file descriptor for the stacks. `busy_seconds`: how long processor time alone counts as progress."""
        self.heartbeat, self.on_hang, self.log = heartbeat, on_hang, log
        self.least_seconds, self.busy_seconds, self.tick_seconds = least_seconds, busy_seconds, tick_seconds
        self.step_seconds: Sequence[float] = ()
        self.steps_tell = False  # while training: only steps and their parts count as progress
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
        """Report progress."""
        self._quiet = self._busy = 0.0
        self.heartbeat.touch()

    @contextmanager
    def steps(self, seconds: Sequence[float]) -> Iterator[None]:
        """Within, only steps and their parts count as progress. The caller appends each step's time to `seconds`."""
        self.step_seconds, self.steps_tell = seconds, True
        try:
            yield
        finally:
            self.step_seconds, self.steps_tell = (), False

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """Within, other work counts as progress too."""
        self.steps_tell = False
        try:
            yield
        finally:
            self.beat()
            self.steps_tell = True

    @property
    def limit(self) -> float:
        """Seconds without progress that count as a hang."""
        if not self.step_seconds:
            return self.least_seconds
        return max(self.least_seconds, MEDIANS * median(self.step_seconds[-MEDIAN_OF:]))

    def stale_for(self) -> float:
        """Seconds without progress if they reach the limit, else 0."""
        return self._quiet if self._quiet >= self.limit else 0.0

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(self.tick_seconds):
            now = time.monotonic()
            # Not the whole time: a frozen process or a sleeping machine did not hang. `dump_traceback_later` below
            # cannot tell the difference, so it waits for twice the limit.
            self._quiet += min(now - before, 2 * self.tick_seconds)
            if not (self.steps_tell and self.step_seconds):
                self._look_at_the_machine(now - before)
            before = now
            if quiet := self.stale_for():
                with suppress(OSError):  # nobody may be reading the log any more
                    os.write(self.log, b"grpo-job: the stacks of all threads:\n")
                faulthandler.dump_traceback(self.log, all_threads=True)
                self.on_hang(f"no progress for {quiet:.0f} s; the stacks of all threads are in the log")
                return
            # If C code never releases the GIL, this thread cannot run, but a thread outside Python can.
            faulthandler.dump_traceback_later(2 * self.limit, exit=True, file=self.log)
        faulthandler.cancel_dump_traceback_later()  # `stop` may have come between the look and the line above

    def _look_at_the_machine(self, seconds: float) -> None:
        """Count the work of the process as progress."""
        before, self._work = self._work, self._work_done()
        with suppress(OSError):  # the run itself reports a disk that cannot be written
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
        except (psutil.Error, AttributeError, OSError):  # a child that just ended, or a system without these counters
            continue
    return seconds, written
