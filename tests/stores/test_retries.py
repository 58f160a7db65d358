"""Calls under a deadline: what becomes of one that is given up."""

import threading
import time

import pytest

from grpo_job.stores import retries
from grpo_job.stores.retries import TooSlow, within


def test_a_loop_that_drops_the_first_order_to_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python drops what is raised in a destructor, or where a weak reference ends."""
    monkeypatch.setattr(retries, "INSIST_SECONDS", 0.05)
    threads, orders = [], []

    def loop() -> None:
        threads.append(threading.current_thread())
        while len(orders) < 2:
            try:
                time.sleep(0.01)
            except SystemExit as order:
                orders.append(order)

    with pytest.raises(TooSlow):
        within(0.1, loop)
    threads[0].join(30)
    assert len(orders) == 2
