"""Calls under a deadline: what becomes of one that is given up."""

import contextlib
import ctypes
import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest

from grpo_job.stores import retries
from grpo_job.stores.retries import LAST_TRY, Attempts, Patience, Silence, TooSlow, within


def test_a_loop_that_drops_the_first_order_to_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python drops what is raised in a destructor, or where a weak reference ends."""
    orders, called, told_again = list[object](), list[int](), threading.Event()

    def call() -> None:
        called.append(threading.get_ident())
        told_again.wait()

    def drop(thread: ctypes.c_ulong, order: "ctypes.py_object[object]") -> None:
        if [thread.value] == called:  # calls that other tests abandoned are still told to stop
            orders.append(order.value)
        if len(orders) == 2:
            told_again.set()

    monkeypatch.setattr(retries, "INSIST_SECONDS", 0.01)
    monkeypatch.setattr(retries.ctypes.pythonapi, "PyThreadState_SetAsyncExc", drop)
    with pytest.raises(TooSlow):
        within(0.01, call)
    told_again.wait()
    assert orders[:2] == [SystemExit, SystemExit]


class Clock:
    """Time that passes only while somebody waits, or while a call takes `call` seconds to fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self.wait)
        monkeypatch.setattr(retries, "time", clock)
        monkeypatch.setattr(retries, "within", self.within)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def within(self, seconds: float, work: Callable[[], str]) -> str:
        if work() == "answers":
            return "answers"
        self.now += seconds
        raise TooSlow


def test_operations_on_a_store_that_is_down_have_one_patience_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, silence, patience = Clock(monkeypatch), Silence(), Patience(seconds=60, call=30)
    for _ in range(4):
        with pytest.raises(TooSlow):
            Attempts(patience, lambda error: 0.0, silence=silence)(lambda: "nothing")
    assert clock.now < 60 + 3 * LAST_TRY + 1


def test_a_store_that_answers_now_and_then_is_not_tried_again_after_the_work_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Clock(monkeypatch)
    silence, patience = Silence(), Patience(seconds=60, call=30)
    silence.until = 45
    for _ in range(9):
        answers = iter(["nothing", "answers"])
        with contextlib.suppress(TooSlow):
            Attempts(patience, lambda error: 0.0, silence=silence)(lambda answers=answers: next(answers))  # type: ignore[misc]
    assert len(list(answers)) == 1


def test_a_store_that_answers_again_is_given_the_whole_patience_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, silence, patience = Clock(monkeypatch), Silence(), Patience(seconds=60, call=30)
    operation = partial(Attempts, patience, lambda error: 0.0, silence=silence)
    with pytest.raises(TooSlow):
        operation()(lambda: "nothing")
    assert operation()(lambda: "answers") == "answers"
    began, answers = clock.now, iter(["nothing", "answers"])
    assert operation()(lambda: next(answers)) == "answers"
    assert clock.now - began > 30
