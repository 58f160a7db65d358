"""Late work is cut, whatever it does, and nothing else of the process is disturbed."""

import contextlib
import re
import signal
import threading
import time
from collections.abc import Callable

import pytest

from grpo_job.rewards.timeout import finishes

FOR_EVER = 10**6  # seconds: what is not cut never ends


def sleep() -> None:
    time.sleep(FOR_EVER)


def loop_for_ever() -> None:
    while True:
        pass


def match_for_ever() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")


def raise_a_power() -> None:
    9**9**9


def swallow_errors() -> None:
    while True:
        with contextlib.suppress(Exception):
            time.sleep(FOR_EVER)


@pytest.mark.parametrize("work", [sleep, loop_for_ever, match_for_ever, raise_a_power, swallow_errors])
def test_late_work_is_cut_in_the_main_thread(work: Callable[[], None]) -> None:
    assert not finishes(work, 0.05)


def test_late_work_is_left_behind_in_another_thread() -> None:
    over, ended = threading.Event(), list[bool]()
    caller = threading.Thread(target=lambda: ended.append(finishes(over.wait, 0.05)))
    caller.start()
    caller.join(60)
    over.set()
    assert ended == [False]


@pytest.mark.parametrize("in_main", [True, False])
def test_work_in_time_is_done_and_its_error_is_raised(in_main: bool) -> None:
    seen: list[object] = []

    def fail() -> None:
        raise KeyError("the cause")

    def try_both() -> None:
        seen.append(finishes(lambda: seen.append("done"), 60))
        try:
            finishes(fail, 60)
        except KeyError as error:
            seen.append(error.args)

    if in_main:
        try_both()
    else:
        caller = threading.Thread(target=try_both)
        caller.start()
        caller.join()
    assert seen == ["done", True, ("the cause",)]


def test_no_time_left_means_not_even_started() -> None:
    assert not finishes(lambda: pytest.fail("it started"), 0)


def test_the_alarm_of_another_is_set_again() -> None:
    rung: list[bool] = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        assert not finishes(sleep, 0.05)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 600
        assert rung == []
        signal.raise_signal(signal.SIGALRM)
        assert rung == [True]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def test_an_alarm_that_the_work_cancels_does_not_outlive_it() -> None:
    def use_the_alarm() -> None:  # as math-verify's time-outs do
        signal.alarm(5)
        signal.alarm(0)

    assert finishes(use_the_alarm, 60)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
