"""What is done inside an attempt's process before its door opens. Picklable, for it is sent there."""

import fcntl
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")


@dataclass(frozen=True)
class SignalAfterStep:
    """The process sends itself `number` when `step` was logged: a real signal at a known place."""

    step: int
    number: int = signal.SIGTERM

    def __call__(self) -> None:
        _after_step(self.step, lambda listener: os.kill(os.getpid(), self.number))


@dataclass(frozen=True)
class WithoutReport:
    """Leave out plots, report and card, which take longer than such a small run."""

    def __call__(self) -> None:
        from grpo_job import job
        from grpo_job.phases import outcome
        from grpo_job.phases.live_report import LiveReport

        LiveReport.refresh = lambda self: None  # type: ignore[method-assign]
        job.write_report = lambda *_: None
        outcome._report_abandoned = lambda *_: None


@dataclass(frozen=True)
class DiskLooksLarge:
    """The check before the run finds room; others fill the disk behind it."""

    def __call__(self) -> None:
        from grpo_job.preflight import resources

        resources.free_bytes = lambda folder: 10**12


@dataclass(frozen=True)
class ReadOnlyAfterStep:
    """Once `step` was logged, the folder of the checkpoints is mounted read-only."""

    step: int

    def __call__(self) -> None:
        def lock(listener: Any) -> None:
            folder = str(listener.manager.folder)
            subprocess.run(["mount", "--bind", folder, folder], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)

        _after_step(self.step, lock)


@dataclass(frozen=True)
class CountBoundaries:
    """Write down each opening, renaming and removing below `checkpoints` during the save after `step`."""

    step: int
    into: Path

    def __call__(self) -> None:
        heard: list[str] = []

        def hear(number: int, what: str) -> None:
            heard.append(what)

        def write() -> None:
            self.into.write_text("".join(f"{line}\n" for line in heard), encoding="utf-8")

        _at_boundaries(self.step, hear, write)


@dataclass(frozen=True)
class KillAtBoundary:
    """SIGKILL to this process at the boundary of that number, counted from 0."""

    step: int
    index: int

    def __call__(self) -> None:
        def kill(number: int, what: str) -> None:
            if number == self.index:
                os.kill(os.getpid(), signal.SIGKILL)

        _at_boundaries(self.step, kill, lambda: None)


def _at_boundaries(step: int, hear: Callable[[int, str], None], over: Callable[[], None]) -> None:
    """Call `hear` with number and name of each boundary, from the logging of `step` to the end of its save."""
    from grpo_job.phases import train

    on_step, on_save = train.TrainingListener.on_step, train.TrainingListener.on_save
    watching, count = False, 0

    def begins(listener: Any, now: int, metrics: dict[str, float]) -> None:
        nonlocal watching
        on_step(listener, now, metrics)
        watching = now == step

    def ends(listener: Any, now: int, written: Path) -> None:
        nonlocal watching
        on_save(listener, now, written)
        if watching:
            watching = False
            over()

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if watching and event in FILE_EVENTS and "/checkpoints/" in str(arguments[0]):
            count += 1
            hear(count - 1, f"{event} {str(arguments[0]).partition('/checkpoints/')[2]}")

    train.TrainingListener.on_step, train.TrainingListener.on_save = begins, ends  # type: ignore[method-assign]
    sys.addaudithook(audit)


@dataclass(frozen=True)
class HangAfterStep:
    """Once `step` was logged nothing happens any more, under a watchdog that waits for seconds in place of minutes."""

    step: int
    least_seconds: float = 2.0

    def __call__(self) -> None:
        from grpo_job.monitoring import watchdog

        defaults = watchdog.Watchdog.__init__.__kwdefaults__
        assert defaults is not None
        defaults.update(least_seconds=self.least_seconds, tick_seconds=0.1)
        _after_step(self.step, lambda listener: threading.Event().wait())


@dataclass(frozen=True)
class PrintsTo:
    """Standard output and error are this file, such as /dev/full; without one, a pipe that nobody reads any more."""

    path: str = ""

    def __call__(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        out = os.open(self.path, os.O_WRONLY) if self.path else writer
        os.dup2(out, 1)
        os.dup2(out, 2)


@dataclass(frozen=True)
class TerminalClosesAfterStep:
    """The process leads the session of a terminal, which is closed once `step` was logged: SIGHUP, and EIO after it."""

    step: int

    def __call__(self) -> None:
        keeper, terminal = os.openpty()
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(terminal, descriptor)
        os.close(terminal)
        stop, closed = threading.Event(), threading.Event()
        threading.Thread(target=_read_until, args=(keeper, stop, closed), daemon=True).start()
        _after_step(self.step, lambda listener: (stop.set(), closed.wait()))


def _read_until(keeper: int, stop: threading.Event, closed: threading.Event) -> None:
    """Read what is printed to a terminal, and close it when asked to."""
    while not stop.is_set():
        if select.select([keeper], [], [], 0.05)[0]:
            os.read(keeper, 65536)
    os.close(keeper)
    closed.set()


@dataclass(frozen=True)
class WithNohup:
    """SIGHUP is ignored, as the job leaves it where it was so at the start."""

    def __call__(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


@dataclass(frozen=True)
class FileSizeLimit:
    """As `ulimit -f`, in bytes."""

    size: int

    def __call__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))


@dataclass(frozen=True)
class RemovedAfterStep:
    """Somebody removes these things of the run folder once `step` was logged, or the whole folder."""

    step: int
    names: tuple[str, ...] = (".",)

    def __call__(self) -> None:
        def remove(listener: Any) -> None:
            for name in self.names:
                path = listener.attempt.folder.path / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()

        _after_step(self.step, remove)


def _after_step(step: int, do: Callable[[Any], object]) -> None:
    from grpo_job.phases import train

    original = train.TrainingListener.on_step

    def on_step(listener: Any, now: int, metrics: dict[str, float]) -> None:
        original(listener, now, metrics)
        if now == step:
            do(listener)

    train.TrainingListener.on_step = on_step  # type: ignore[method-assign]
