"""Calls under a deadline: what becomes of one that is given up."""

import ctypes
import threading

import pytest

from grpo_job.stores import retries
from grpo_job.stores.retries import TooSlow, within


def test_a_loop_that_drops_the_first_order_to_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python drops what is raised in a destructor, or where a weak reference ends."""
    orders, told_again = list[object](), threading.Event()

    def drop(_: object, order: "ctypes.py_object[object]") -> None:
        orders.append(order.value)
        if len(orders) == 2:
            told_again.set()

    monkeypatch.setattr(retries, "INSIST_SECONDS", 0.01)
    monkeypatch.setattr(retries.ctypes.pythonapi, "PyThreadState_SetAsyncExc", drop)
    with pytest.raises(TooSlow):
        within(0.01, told_again.wait)
    told_again.wait()
    assert orders[:2] == [SystemExit, SystemExit]
