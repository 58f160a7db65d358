"""A run that stops making progress is noticed; a run that is only slow is left alone."""

import faulthandler
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_job.monitoring.watchdog import Watchdog

ROOT = Path(__file__).parents[2]
TICK = 0.02
WAIT = 10.0
PROCESSOR_TIME, BYTES_WRITTEN, BOTH, NEITHER = (1.0, 0.0), (0.0, 1e6), (1.0, 1e6), (0.0, 0.0)


class Watched:
    """A watchdog that ticks fast, over a process that does the work of `each_tick` between two looks."""

    def __init__(self, folder: Path, least_seconds: float = 0.2, busy_seconds: float = 2.0) -> None:
        self.each_tick, self.work = BOTH, (0.0, 0.0)
        self.hung = threading.Event()
        self.reason = ""
        self.log = (folder / "log").open("wb")
        self.dog = Watchdog(
            folder / "heartbeat", self._hang, log=self.log.fileno(),
            least_seconds=least_seconds, busy_seconds=busy_seconds, tick_seconds=TICK, work_done=self._work_done,
        )  # fmt: skip
        self.dog.start()

    def _work_done(self) -> tuple[float, float]:
        self.work = self.work[0] + self.each_tick[0], self.work[1] + self.each_tick[1]
        return self.work

    def _hang(self, reason: str) -> None:
        self.reason = reason
        self.hung.set()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the thread outside of Python, in place of it: it would end the process of the tests, whose
    threads wait for longer than twice these limits where the machine is busy."""
    asked: list[str] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: asked.append("end"))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: asked.append("let live"))
    return asked


@pytest.fixture
def watched(tmp_path: Path, outside: list[str]) -> Iterator[Watched]:
    found = Watched(tmp_path)
    yield found
    found.dog.stop()
    found.dog.thread.join()


def test_a_run_without_progress_is_ended_with_the_stacks_of_all_threads(watched: Watched, tmp_path: Path) -> None:
    with watched.dog.steps([0.01]):
        assert watched.hung.wait(WAIT)
    assert watched.reason.startswith("no progress for ")
    stacks = (tmp_path / "log").read_text()
    assert stacks.startswith("grpo-job: the stacks of all threads:\n")
    assert "in test_a_run_without_progress" in stacks
    assert watched.dog.stale_for() >= 0.2


def test_each_beat_is_progress_and_touches_the_heartbeat(watched: Watched, tmp_path: Path) -> None:
    before = (tmp_path / "heartbeat").stat().st_mtime_ns
    with watched.dog.steps([0.01]):
        for _ in range(10):
            watched.dog.beat()
            assert not watched.hung.wait(0.05)
    assert (tmp_path / "heartbeat").stat().st_mtime_ns > before


def test_a_step_may_take_ten_times_the_usual(watched: Watched) -> None:
    with watched.dog.steps([1.0, 1.0, 9.0]):
        assert watched.dog.limit == 10.0
    assert watched.dog.limit == 0.2


def test_work_of_the_machine_is_no_progress_while_steps_tell(watched: Watched) -> None:
    with watched.dog.steps([0.01]):
        assert watched.hung.wait(WAIT)


@pytest.mark.parametrize("kind", [PROCESSOR_TIME, BYTES_WRITTEN], ids=["processor time", "bytes written"])
def test_elsewhere_the_work_of_the_machine_is_progress(watched: Watched, kind: tuple[float, float]) -> None:
    watched.each_tick = kind
    assert not watched.hung.wait(0.8)


def test_between_steps_the_work_of_the_machine_is_progress(watched: Watched) -> None:
    with watched.dog.steps([0.01]), watched.dog.between_steps():
        assert not watched.hung.wait(0.8)


def test_a_loop_without_an_end_before_the_first_step_is_noticed_though_it_works(watched: Watched) -> None:
    watched.each_tick = PROCESSOR_TIME
    with watched.dog.steps([]):
        assert watched.hung.wait(WAIT)
    assert float(watched.reason.split()[3]) >= 2


def test_work_that_writes_is_progress_for_as_long_as_it_takes(watched: Watched) -> None:
    assert not watched.hung.wait(2.5)


def test_a_download_that_hangs_is_noticed_too(watched: Watched) -> None:
    watched.each_tick = NEITHER
    assert watched.hung.wait(WAIT)


def test_a_watchdog_that_is_stopped_while_it_looks_lets_the_process_live(tmp_path: Path, outside: list[str]) -> None:
    looking, stopped = threading.Event(), threading.Event()

    def work_done() -> tuple[float, float]:
        if threading.current_thread() is dog.thread:
            looking.set()
            stopped.wait(WAIT)
        return 0.0, 0.0

    dog = Watchdog(tmp_path / "heartbeat", lambda reason: None, tick_seconds=TICK, work_done=work_done)
    dog.start()
    assert looking.wait(WAIT)
    dog.stop()
    stopped.set()
    dog.thread.join(WAIT)
    assert outside[-2:] == ["end", "let live"]


STORY = """
import faulthandler, os, sys, threading, time
from pathlib import Path
from grpo_job.monitoring.watchdog import Watchdog
dog = Watchdog(Path(sys.argv[1]), lambda reason: os._exit(1), least_seconds=1.0, tick_seconds=0.1)
def say(*words): print(*words, flush=True)
"""


def process(folder: Path, story: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STORY + textwrap.dedent(story), str(folder / "heartbeat")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_process_that_was_frozen_did_not_hang(tmp_path: Path) -> None:
    frozen = process(tmp_path, """
        faulthandler.dump_traceback_later = lambda *_, **__: None  # seen from outside of Python, frozen is stuck
        dog.start()
        with dog.steps([0.01]):
            say("ready"); time.sleep(0.5); dog.beat(); say("alive"); os._exit(0)
    """)  # fmt: skip
    assert frozen.stdout is not None
    assert frozen.stdout.readline() == "ready\n"
    os.kill(frozen.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(frozen.pid, signal.SIGCONT)
    assert frozen.communicate(timeout=WAIT)[0] == "alive\n"
    assert frozen.returncode == 0


def test_c_code_that_keeps_the_interpreter_to_itself_is_ended_from_outside_of_python(tmp_path: Path) -> None:
    stuck = process(tmp_path, """
        import ctypes
        looked, later = threading.Event(), faulthandler.dump_traceback_later
        faulthandler.dump_traceback_later = lambda *given, **named: (later(*given, **named), looked.set())
        dog.start()
        with dog.steps([0.01]):
            looked.wait()
            ctypes.PyDLL(None).sleep(60)  # a PyDLL keeps the lock of the interpreter
    """)  # fmt: skip
    _, err = stuck.communicate(timeout=30)
    assert stuck.returncode == 1
    assert "Timeout" in err
