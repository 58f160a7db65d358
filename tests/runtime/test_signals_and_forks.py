"""Signals around a fork: neither lost, nor taken for another process's, nor left blocked."""

import signal

import pytest

from tests.runtime.test_signals import Process


def test_a_forked_worker_dies_by_the_signal_and_a_started_program_too() -> None:
    process = Process("""
        interruption.grace_seconds = 0.0
        child = os.fork()
        if child == 0:
            time.sleep(60); os._exit(0)
        answers, answering = os.pipe()
        other = os.fork()
        if other == 0:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(3)); os.write(answering, b"."); time.sleep(60)
        program = subprocess.Popen(["sleep", "60"])
        os.read(answers, 1); os.kill(child, signal.SIGTERM); os.kill(other, signal.SIGTERM); program.terminate()
        say(os.WTERMSIG(os.waitpid(child, 0)[1]), os.WEXITSTATUS(os.waitpid(other, 0)[1]), program.wait())
        until_the_pipe_is_empty()
    """)
    assert process.rest() == (0, "15 3 -15\n", "")


def test_a_worker_that_is_signalled_within_its_fork_dies_and_its_parent_does_not_hear_of_it() -> None:
    # Hooks run in the order of their registration: this one signals the child before its handlers are reset.
    early = "import os, signal\n"
    early += "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
    story = """
        child = os.fork()
        if child == 0: os._exit(7)
        ended = os.WTERMSIG(os.waitpid(child, 0)[1])
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGINT}
        say(ended, blocked, interruption.asked)
        try: say("ready"); time.sleep(60)
        except StopNow as stop: say("stopped by", stop)
    """
    process = Process(story, before=early)
    process.wait_for("15 set() None")
    assert process.signalled(signal.SIGTERM) == (0, "stopped by SIGTERM\n", "")


def test_programs_and_forked_workers_start_with_no_signal_blocked() -> None:
    process = Process("""
        Interruption().install()
        tell = ["grep", "SigBlk", "/proc/self/status"]
        subprocess.run(tell); subprocess.run(tell, preexec_fn=lambda: None)
        forked = os.fork()
        if forked == 0: os.execvp(tell[0], tell)
        os.waitpid(forked, 0); subprocess.run(tell)
    """)
    assert process.rest() == (0, f"SigBlk:\t{0:016x}\n" * 4, "")


# Hooks before a fork run in the reverse order of their registration.
IN_A_HOOK = "os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGTERM))"
FORK = """
try:
    if os.fork() == 0: os._exit(0)
    time.sleep(60)
"""
DESTROY = """
class Dying:
    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)
try:
    Dying(); time.sleep(60)
"""


@pytest.mark.parametrize(
    ("before", "story"),
    [(f"import os, signal; {IN_A_HOOK}", FORK), ("", IN_A_HOOK + FORK), ("", DESTROY)],
    ids=["in a fork, blocked", "in a fork, not blocked yet", "in a destructor"],
)
def test_a_stop_that_python_discards_is_raised_again(before: str, story: str) -> None:
    story += "except StopNow as stop: say('stopped by', stop, signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    assert Process(story, before=before).rest() == (0, "stopped by SIGTERM set()\n", "")


def test_a_stop_that_reaches_another_thread_wakes_the_main_one() -> None:
    process = Process("""
        def hear(): signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        try:
            threading.Timer(0.1, hear).start(); time.sleep(60)
        except StopNow as stop: say("stopped by", stop)
    """)
    assert process.rest() == (0, "stopped by SIGTERM\n", "")


def test_a_discarded_stop_is_not_raised_behind_the_one_of_a_step_boundary() -> None:
    process = Process("""
        class Dying:
            def __del__(self): os.kill(os.getpid(), signal.SIGTERM)
        Dying()
        try:
            with interruption.at_step_boundary(): say("a step is begun")
        except Interrupted as end: say(end, interruption._discarded)
    """)
    assert process.rest() == (0, "SIGTERM was received False\n", "")
