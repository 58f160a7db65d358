"""Ends work that takes too long, whatever it is doing.

In the main thread, where the trainer calls rewards, an alarm ends it: of the ways within one process only a
signal also cuts a hung regular expression or a huge power, which keep the interpreter's lock and so starve any
thread that waits for them. Elsewhere, where Python handles no signals, the work runs in a thread that is left
behind when it is late. Work that is not ours, and may use the alarm itself, gets a second clock, see `clock.py`.
"""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from grpo_job.rewards import clock

LATER = 1.0  # seconds, for the alarm to come first: it costs nothing


class _TimeUp(BaseException):
    """Raised in the middle of the work. Not an `Exception`, which the work may well catch."""


def finishes(work: Callable[[], None], seconds: float, stuck: str | None = None) -> bool:
    """Whether `work` ended within `seconds`; late work is cut. What it raises is raised here.

    `stuck` is for work that is not ours: what is told where it cannot be cut, which ends the process with 4.

    >>> finishes(lambda: time.sleep(0), 5), finishes(lambda: time.sleep(60), 0.01)
    (True, False)
    """
    if seconds <= 0:
        return False
    if threading.current_thread() is not threading.main_thread():
        return _finishes_in_thread(work, seconds)
    if stuck is None:
        return _finishes_before_alarm(work, seconds)
    try:
        with clock.rings(seconds + LATER, _TimeUp(), stuck):
            return _finishes_before_alarm(work, seconds)
    except _TimeUp:  # it rang while the alarm was being put back
        return False


def _finishes_before_alarm(work: Callable[[], None], seconds: float) -> bool:
    working = True

    def ring(_number: int, _frame: FrameType | None) -> None:
        if working:  # else it rings while it is being switched off
            raise _TimeUp

    started = time.monotonic()
    others_handler = signal.signal(signal.SIGALRM, ring)
    # It rings every second until the work gives in: a bare `except:` may swallow the first.
    others_delay, others_interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        work()
        working = False
        return True
    except _TimeUp:
        return False
    finally:
        working = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, others_handler or signal.SIG_DFL)
        if others_delay:
            left = others_delay - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), others_interval)


def _finishes_in_thread(work: Callable[[], None], seconds: float) -> bool:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # it belongs to the caller, who raises it again
            raised.append(error)

    worker = threading.Thread(target=run, name="reward", daemon=True)
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        return False
    if raised:
        raise raised[0]
    return True
