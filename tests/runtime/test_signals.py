"""Signals: real processes, real signals."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import IO

import pytest

from grpo_job.outcomes import Interrupted
from grpo_job.runtime.signals import Interruption

ROOT = Path(__file__).parents[2]
LONGEST_SECONDS = 60
PREAMBLE = """
import hashlib, os, select, signal, subprocess, sys, threading, time
from grpo_job.outcomes import Interrupted, Unexpected
from grpo_job.outcomes import StopNow
from grpo_job.runtime.signals import Interruption
interruption = Interruption().install()
def say(*words): print(*words, flush=True)
def until_asked():
    while not interruption.asked: time.sleep(0.01)
def until_the_pipe_is_empty():
    os.write(interruption._mouth, bytes([signal.SIGALRM]))  # read in order, and not after a signal that ends
    while select.select([interruption._ear], [], [], 0)[0]: time.sleep(0.01)
"""


class Process:
    """A Python process that says `ready` when it wants its signal."""

    def __init__(self, story: str, before: str = "") -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", before + PREAMBLE + textwrap.dedent(story)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip

    def wait_for(self, line: str) -> None:
        stdout: IO[bytes] | None = self.popen.stdout
        assert stdout is not None
        assert stdout.readline().decode() == f"{line}\n"

    def rest(self) -> tuple[int, str, str]:
        """Exit code, and what is said from now on to standard output and standard error."""
        out, err = self.popen.communicate(timeout=LONGEST_SECONDS)
        return self.popen.returncode, out.decode(), err.decode()

    def signalled(self, number: signal.Signals) -> tuple[int, str, str]:
        """What happens after this signal."""
        self.wait_for("ready")
        self.popen.send_signal(number)
        return self.rest()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_outside_training_a_signal_raises_where_the_process_stands(number: signal.Signals) -> None:
    process = Process("""
        try:
            say("ready"); time.sleep(60)
        except Exception: say("taken for a failure")
        except StopNow as stop: say("stopped by", stop, "at once")
    """)
    code, out, _ = process.signalled(number)
    assert (code, out) == (0, f"stopped by {number.name} at once\n")


def test_while_training_a_signal_is_noted_and_raised_behind_the_step() -> None:
    process = Process("""
        try:
            with interruption.at_step_boundary():
                say("ready"); until_asked(); say("the step ends with", interruption.asked)
        except Interrupted as end: say("then:", end)
    """)
    code, out, _ = process.signalled(signal.SIGTERM)
    assert (code, out) == (0, "the step ends with SIGTERM\nthen: SIGTERM was received\n")


def test_a_second_signal_ends_at_once_with_75_after_the_ending_is_written() -> None:
    process = Process("""
        def write(reason): say("written:", reason); return Interrupted(reason).outcome()
        interruption.before_exit = write
        with interruption.at_step_boundary():
            say("ready"); until_asked(); say("asked"); time.sleep(60)
    """)
    process.wait_for("ready")
    process.popen.send_signal(signal.SIGTERM)
    process.wait_for("asked")
    process.popen.send_signal(signal.SIGTERM)
    code, out, err = process.rest()
    assert (code, out) == (75, "written: SIGTERM was received a second time\n")
    assert err == "grpo-job: SIGTERM was received a second time\n"


def test_when_the_grace_period_ends_first_the_process_ends_with_75() -> None:
    process = Process("""
        interruption.grace_seconds = 0.2
        with interruption.at_step_boundary():
            say("ready"); time.sleep(60)
    """)
    code, _, err = process.signalled(signal.SIGTERM)
    assert code == 75
    assert err == "grpo-job: SIGTERM was received; the 0.2 seconds of grace are over\n"


def test_the_grace_period_ends_also_inside_a_long_call_into_c() -> None:
    process = Process("""
        interruption.grace_seconds = 0.2
        with interruption.at_step_boundary():
            threading.Timer(0.2, say, ["ready"]).start()
            hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2**30)  # minutes, in which no handler can run
    """)
    assert process.signalled(signal.SIGTERM)[0] == 75


def test_the_alarm_of_a_library_is_no_reason_to_end() -> None:
    process = Process("""
        interruption.grace_seconds = 0.0
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.raise_signal(signal.SIGALRM); until_the_pipe_is_empty(); say("alive")
    """)
    assert process.rest() == (0, "alive\n", "")


def test_the_ending_that_is_written_last_decides_the_exit_code() -> None:
    process = Process("""
        interruption.before_exit, interruption.grace_seconds = lambda reason: Unexpected(reason).outcome(), 0.1
        with interruption.at_step_boundary():
            say("ready"); time.sleep(60)
    """)
    assert process.signalled(signal.SIGTERM)[0] == 1


def test_the_process_ends_even_if_the_ending_cannot_be_written() -> None:
    process = Process("""
        def write(reason): raise OSError("disk full")
        interruption.before_exit, interruption.grace_seconds = write, 0.1
        with interruption.at_step_boundary():
            say("ready"); time.sleep(60)
    """)
    assert process.signalled(signal.SIGTERM)[0] == 75


def test_the_container_door_ends_with_75_however_early_the_signal_comes() -> None:
    story = "import os, signal; from grpo_job.runtime import signals; install = signals.Interruption.install\n"
    story += "def and_be_asked(self):\n    install(self); os.kill(os.getpid(), signal.SIGTERM); return self\n"
    story += "signals.Interruption.install = and_be_asked\n"
    story += "import runpy; runpy.run_path('entrypoint.py', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", story], cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )
    assert (ended.returncode, ended.stderr) == (75, "grpo-job: SIGTERM was received\n")


def test_a_signal_whose_exception_was_swallowed_is_raised_at_the_next_boundary() -> None:
    interruption = Interruption()
    interruption.asked = "SIGTERM"
    with pytest.raises(Interrupted, match="SIGTERM was received"), interruption.at_step_boundary():
        raise AssertionError("no step is begun")


def test_an_error_in_a_step_is_not_hidden_by_a_signal() -> None:
    interruption = Interruption()

    def fail_once_asked() -> None:
        interruption.asked = "SIGTERM"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), interruption.at_step_boundary():
        fail_once_asked()


def test_a_terminal_that_hangs_up_stops_the_run_as_sigterm_does_however_often_it_says_so() -> None:
    process = Process("""
        try:
            with interruption.at_step_boundary():
                say("ready"); until_asked(); say("asked"); os.kill(os.getpid(), signal.SIGHUP); say("goes on")
        except Interrupted as end: say("then:", end)
    """)
    code, out, _ = process.signalled(signal.SIGHUP)
    assert (code, out) == (0, "asked\ngoes on\nthen: SIGHUP was received\n")


def test_under_nohup_a_hang_up_is_ignored_in_workers_too() -> None:
    process = Process(
        """
        child = os.fork()
        if child == 0: os.kill(os.getpid(), signal.SIGHUP); os._exit(3)
        os.kill(os.getpid(), signal.SIGHUP)
        say(interruption.asked, os.WEXITSTATUS(os.waitpid(child, 0)[1]))
        """,
        before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n",
    )
    assert process.rest() == (0, "None 3\n", "")


def test_a_process_that_is_restarted_after_the_end_does_not_take_itself_for_nohups() -> None:
    process = Process("""
        interruption.close(); os.kill(os.getpid(), signal.SIGHUP)
        told = "import signal; print(signal.getsignal(signal.SIGHUP).name)"
        os.execv(sys.executable, [sys.executable, "-c", told])
    """)
    assert process.rest() == (0, "SIG_DFL\n", "")
