"""Deadlines and retries around the clients of the stores.

The clients retry by themselves, but huggingface_hub has calls without a timeout and endless loops, and
neither client knows how long the job can wait. So every call has a deadline of its own, and transient
failures are retried with jitter, honouring `Retry-After`.

Each store decides which failures are transient: see `Attempts`.
"""

import ctypes
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from grpo_job.outcomes import InvalidRun, Outage, causes

T = TypeVar("T")

SLOWEST = 1_000_000  # bytes per second that a transfer must reach: its deadline grows with its size
INSIST_SECONDS = 1.0  # between two requests to an abandoned call to stop

# Not the global generator: retries of a mirror must not change the random numbers of the training.
_dice = random.SystemRandom()


class StoreFailed(Exception):
    """A store failed. `str()` is one sentence, with the cure. `outage`: a later attempt may get past it."""

    def __init__(self, sentence: str, *, outage: bool = False) -> None:
        self.outage = outage
        super().__init__(sentence)

    def as_refusal(self, prefix: str = "") -> InvalidRun:
        """What this means before training: an `Outage`, or that the run is refused."""
        return (Outage if self.outage else InvalidRun)(f"{prefix}{self}")


class Outpaced(StoreFailed):
    """Another attempt wrote where only this holder may write, so the lease is lost."""


class TooSlow(Exception):
    """A call did not return within its time."""


class Silence:
    """Since when each request to a store has failed, so that its operations have one patience together."""

    since: float | None = None  # monotonic seconds
    until: float = math.inf  # nothing is tried again after it, however often the store answers in between


@dataclass(frozen=True)
class Patience:
    """How long to keep trying: `seconds` for a whole operation, `call` for one call of the client."""

    seconds: float = 900.0
    call: float = 120.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    silence: Silence | None = None  # shared by stores; None: each has its own


LAST_TRY = 5.0  # seconds for the only try of an operation that finds the patience spent
CHECK = Patience(seconds=25, call=12, first_wait=0.2, longest_wait=3)  # what `Store.check` promises


class Attempts:
    """The time budget of one operation, for as many calls and retries as fit into it.

    `wait` takes a failure and returns the least number of seconds to wait before the next try, or None if
    a retry cannot help. `renew` is called after a call was abandoned.
    """

    def __init__(
        self,
        patience: Patience,
        wait: Callable[[BaseException], float | None],
        *,
        renew: Callable[[], object] = lambda: None,
        size: int = 0,
        silence: Silence | None = None,
    ) -> None:
        """`silence` is that of the store; operations that share it wait no longer together than one of them."""
        self._patience = patience
        self._silence = silence or Silence()
        self._wait = wait
        self._renew = renew
        self._end = time.monotonic() + patience.seconds + size / SLOWEST

    def left(self, size: int = 0) -> float:
        """Seconds until the time is over, for a call that sends `size` bytes; negative after that."""
        now, since = time.monotonic(), self._silence.since
        spent = self._end if since is None else since + self._patience.seconds + size / SLOWEST
        return min(self._end, spent) - now

    def __call__(self, work: Callable[[], T], *, size: int = 0) -> T:
        """The result of `work`, which is retried until it succeeds, cannot succeed, or the time is over."""
        tries, told = 0, None
        while True:
            began = time.monotonic()
            try:
                result = within(min(self._patience.call + size / SLOWEST, self._time_for_a_try(tries, size)), work)
                self._silence.since = None
                return result
            except Exception as error:
                if isinstance(error, TooSlow):
                    self._renew()
                # A timeout at the end of the budget tells less than the failure before it.
                told = told if told and isinstance(error, TooSlow) else error
                pause = self._pause(error, tries, began, size)
            if pause is None:
                raise told
            time.sleep(pause)
            tries += 1

    def _time_for_a_try(self, tries: int, size: int) -> float:
        spent_before = not tries and time.monotonic() < self._end
        least = min(LAST_TRY, self._patience.seconds) + size / SLOWEST if spent_before else 0.1
        return max(self.left(size), least)

    def _pause(self, error: BaseException, tries: int, began: float, size: int) -> float | None:
        asked = 0.0 if isinstance(error, TooSlow) else self._wait(error)
        if asked is None:
            self._silence.since = None
            return None
        if self._silence.since is None:
            self._silence.since = began
        longest = min(self._patience.longest_wait, self._patience.first_wait * 2 ** min(tries, 16))
        pause = asked + longest * _dice.uniform(0.5, 1.0)
        return pause if pause < min(self.left(size), self._silence.until - time.monotonic()) else None


def is_untrusted(error: BaseException) -> bool:
    """Whether the server's certificate was refused, which no retry changes."""
    return any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in causes(error))


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`; raises `TooSlow` after `seconds` and tells the abandoned thread to stop."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="store-call")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _abandon(thread)
        raise TooSlow(f"no response within {seconds:.0f} seconds")
    if errors:
        raise errors[0]
    return results[0]


def _abandon(thread: threading.Thread) -> None:
    """Ends a loop in `thread`, such as create_repo's endless retry of a 409.

    SystemExit is raised at its next bytecode, and again while it runs: Python drops exceptions in destructors.
    """

    def insist() -> None:
        while thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
            thread.join(INSIST_SECONDS)

    threading.Thread(target=insist, daemon=True, name="store-call-end").start()
