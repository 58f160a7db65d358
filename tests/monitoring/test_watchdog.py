"""A run that stops making progress is noticed; a run that is only slow is left alone."""

import faulthandler
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.monitoring import watchdog
from grpo_job.monitoring.watchdog import Watchdog

ROOT = Path(__file__).parents[2]
PROCESSOR_TIME, BYTES_WRITTEN, BOTH, NEITHER = (1.0, 0.0), (0.0, 1e6), (1.0, 1e6), (0.0, 0.0)


class Watched:
    """A process by a clock of its own, and its watchdog, which looks each second."""

    def __init__(self, folder: Path) -> None:
        self.each_second, self.work = BOTH, (0.0, 0.0)
        self.now, self.looks_left, self.reason = 0.0, 0, ""
        self.meanwhile: Callable[[], object] = lambda: None
        self.log = (folder / "log").open("wb")
        self.dog = Watchdog(
            folder / "heartbeat", self._hang, log=self.log.fileno(),
            least_seconds=10, busy_seconds=100, tick_seconds=1, work_done=lambda: self.work,
        )  # fmt: skip
        self.dog._over = self  # type: ignore[assignment]
        self.dog.beat()

    def hangs(self, within: int) -> bool:
        """Whether the watchdog ends the process within so many looks, in this thread."""
        self.looks_left = within
        self.dog._watch()
        return bool(self.reason)

    def wait(self, seconds: float) -> bool:
        """In place of the event that the watchdog waits for."""
        self.looks_left -= 1
        self.now += seconds
        self.work = self.work[0] + self.each_second[0], self.work[1] + self.each_second[1]
        self.meanwhile()
        return self.looks_left < 0

    def monotonic(self) -> float:
        return self.now

    def _hang(self, reason: str) -> None:
        self.reason = reason


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the thread outside of Python, in place of it: it would end the process of the tests."""
    asked: list[str] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: asked.append("end"))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: asked.append("let live"))
    return asked


@pytest.fixture
def watched(tmp_path: Path, outside: list[str], monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched(tmp_path)
    monkeypatch.setattr(watchdog, "time", found)
    return found


def test_a_run_without_progress_is_ended_with_the_stacks_of_all_threads(watched: Watched, tmp_path: Path) -> None:
    with watched.dog.steps([0.01]):
        assert watched.hangs(within=10)
    assert watched.reason == "no progress for 10 s; the stacks of all threads are in the log"
    stacks = (tmp_path / "log").read_text()
    assert stacks.startswith("grpo-job: the stacks of all threads:\n")
    assert "in test_a_run_without_progress" in stacks
    assert watched.dog.stale_for() == 10


def test_each_beat_is_progress_and_touches_the_heartbeat(watched: Watched, tmp_path: Path) -> None:
    watched.meanwhile = lambda: watched.now % 9 or watched.dog.beat()
    with watched.dog.steps([0.01]):
        assert not watched.hangs(within=1000)
    (tmp_path / "heartbeat").unlink()
    watched.dog.beat()
    assert (tmp_path / "heartbeat").exists()


def test_a_step_may_take_ten_times_the_usual(watched: Watched) -> None:
    with watched.dog.steps([2.0, 2.0, 9.0]):
        assert watched.dog.limit == 20.0
        assert not watched.hangs(within=19)
    assert watched.dog.limit == 10.0


def test_work_of_the_machine_is_no_progress_while_steps_tell(watched: Watched) -> None:
    with watched.dog.steps([0.01]):
        assert watched.hangs(within=10)


@pytest.mark.parametrize("kind", [PROCESSOR_TIME, BYTES_WRITTEN], ids=["processor time", "bytes written"])
def test_elsewhere_the_work_of_the_machine_is_progress(watched: Watched, kind: tuple[float, float]) -> None:
    watched.each_second = kind
    assert not watched.hangs(within=99)


def test_between_steps_the_work_of_the_machine_is_progress(watched: Watched) -> None:
    with watched.dog.steps([0.01]), watched.dog.between_steps():
        assert not watched.hangs(within=99)


def test_a_loop_without_an_end_before_the_first_step_is_noticed_though_it_works(watched: Watched) -> None:
    watched.each_second = PROCESSOR_TIME
    with watched.dog.steps([]):
        assert watched.hangs(within=100)
    assert watched.reason.startswith("no progress for 100 s;")


def test_work_that_writes_is_progress_for_as_long_as_it_takes(watched: Watched) -> None:
    assert not watched.hangs(within=10_000)


def test_a_download_that_hangs_is_noticed_too(watched: Watched) -> None:
    watched.each_second = NEITHER
    assert watched.hangs(within=10)


def test_a_process_that_was_frozen_did_not_hang(watched: Watched) -> None:
    def freeze() -> None:
        watched.now += 5000

    with watched.dog.steps([0.01]):
        watched.meanwhile = freeze
        assert not watched.hangs(within=1)
        watched.meanwhile = lambda: None
        assert not watched.hangs(within=7)
        assert watched.hangs(within=1), "of the time in which it was frozen it has two looks to answer for"


def test_a_watchdog_that_is_stopped_while_it_looks_lets_the_process_live(tmp_path: Path, outside: list[str]) -> None:
    looking, stopped = threading.Event(), threading.Event()

    def work_done() -> tuple[float, float]:
        if threading.current_thread() is dog.thread:
            looking.set()
            stopped.wait()
        return 0.0, 0.0

    dog = Watchdog(tmp_path / "heartbeat", lambda reason: None, tick_seconds=0.01, work_done=work_done)
    dog.start()
    looking.wait()
    dog.stop()
    stopped.set()
    dog.thread.join()
    assert outside[-2:] == ["end", "let live"]


# Its own end would be the watchdog's if it noticed first, on a busy machine.
STUCK_IN_C = """
import ctypes, faulthandler, sys, threading
from pathlib import Path
from grpo_job.monitoring.watchdog import Watchdog
dog = Watchdog(Path(sys.argv[1]), lambda reason: None, least_seconds=1.0, tick_seconds=0.1)
looked, later = threading.Event(), faulthandler.dump_traceback_later
faulthandler.dump_traceback_later = lambda *given, **named: (later(*given, **named), looked.set())
dog.start()
with dog.steps([0.01]):
    looked.wait()
    ctypes.PyDLL(None).sleep(600)  # a PyDLL keeps the lock of the interpreter
"""


def test_c_code_that_keeps_the_interpreter_to_itself_is_ended_from_outside_of_python(tmp_path: Path) -> None:
    stuck = subprocess.run(
        [sys.executable, "-c", STUCK_IN_C, str(tmp_path / "heartbeat")], cwd=ROOT, capture_output=True, text=True
    )
    assert stuck.returncode == 1
    assert "Timeout" in stuck.stderr
