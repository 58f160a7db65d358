"""A run that stops making progress is noticed; a run that is only slow is left alone."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.watchdog import Watchdog

ROOT = Path(__file__).parents[1]
TICK = 0.02
WAIT = 10.0


class Watched:
    """A watchdog that ticks fast, over a process whose work the test decides."""

    def __init__(self, folder: Path, least_seconds: float = 0.2, busy_seconds: float = 2.0) -> None:
        self.work = (0.0, 0.0)
        self.hung = threading.Event()
        self.reason = ""
        self.log = (folder / "log").open("wb")
        self.dog = Watchdog(
            folder / "heartbeat", self._hang, log=self.log.fileno(),
            least_seconds=least_seconds, busy_seconds=busy_seconds, tick_seconds=TICK, work_done=lambda: self.work,
        )  # fmt: skip
        self.dog.start()

    def _hang(self, reason: str) -> None:
        self.reason = reason
        self.hung.set()


@pytest.fixture
def watched(tmp_path: Path) -> object:
    found = Watched(tmp_path)
    yield found
    found.dog.stop()


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
        assert _works_until(watched, watched.hung.is_set)


@pytest.mark.parametrize("kind", [(1.0, 0.0), (0.0, 1e6)], ids=["processor time", "bytes written"])
def test_elsewhere_the_work_of_the_machine_is_progress(watched: Watched, kind: tuple[float, float]) -> None:
    assert not _works_until(watched, watched.hung.is_set, kind, seconds=0.8)


def test_between_steps_the_work_of_the_machine_is_progress(watched: Watched) -> None:
    with watched.dog.steps([0.01]), watched.dog.between_steps():
        assert not _works_until(watched, watched.hung.is_set, seconds=0.8)


def test_a_loop_without_an_end_before_the_first_step_is_noticed_though_it_works(watched: Watched) -> None:
    with watched.dog.steps([]):
        assert _works_until(watched, watched.hung.is_set, (1.0, 0.0))
    assert float(watched.reason.split()[3]) >= 2


def test_work_that_writes_is_progress_for_as_long_as_it_takes(watched: Watched) -> None:
    assert not _works_until(watched, watched.hung.is_set, seconds=2.5)


def test_a_download_that_hangs_is_noticed_too(watched: Watched) -> None:
    assert watched.hung.wait(WAIT)


def _works_until(
    watched: Watched, over: Callable[[], bool], kind: tuple[float, float] = (1.0, 1e6), seconds: float = WAIT
) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not over():
        watched.work = watched.work[0] + kind[0], watched.work[1] + kind[1]
        time.sleep(TICK / 2)
    return over()


STORY = """
import os, sys, threading, time
from pathlib import Path
from grpo_job.watchdog import Watchdog
dog = Watchdog(Path(sys.argv[1]), lambda reason: os._exit(1), least_seconds=1.0, tick_seconds=0.1)
dog.start()
def say(*words): print(*words, flush=True)
"""


def process(folder: Path, story: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STORY + textwrap.dedent(story), str(folder / "heartbeat")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_process_that_was_frozen_did_not_hang(tmp_path: Path) -> None:
    frozen = process(tmp_path, """
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
        with dog.steps([0.01]):
            time.sleep(0.5)  # the watchdog looks once
            ctypes.PyDLL(None).sleep(60)  # a PyDLL keeps the lock of the interpreter
    """)  # fmt: skip
    _, err = stuck.communicate(timeout=30)
    assert stuck.returncode == 1
    assert "Timeout" in err
