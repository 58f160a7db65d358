"""Deadlines and retries around the clients of the stores.

The clients retry on their own, but huggingface_hub has calls without a time limit and loops without
an end, and neither client knows when the job has waited long enough. So every call runs under a
deadline of its own, and what fails in passing is tried again with jitter, honouring `Retry-After`.

Which failures pass is for each store to say: see `Attempts.wait`.
"""

import ctypes
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SLOWEST = 1_000_000  # bytes a second: a transfer gets at least this much more time for its size
INSIST_SECONDS = 1.0  # until an abandoned call that goes on is told again to stop

# Never the global generator: a mirror's retries must not move a training run's random numbers.
_dice = random.SystemRandom()


class StoreFailed(Exception):
    """A store could not do what was asked. `str()` of it is one sentence, with the cure."""


class Outpaced(StoreFailed):
    """Somebody else wrote where this holder alone should write: it holds nothing any more."""


class TooSlow(Exception):
    """A call did not return within its time."""


@dataclass(frozen=True)
class Patience:
    """How long to keep trying: `seconds` for a whole operation, `call` for one call of the client."""

    seconds: float = 900.0
    call: float = 120.0
    first_wait: float = 0.5
    longest_wait: float = 30.0


CHECK = Patience(seconds=25, call=12, first_wait=0.2, longest_wait=3)  # what `Store.check` promises


class Attempts:
    """One operation's budget of time, spent over as many calls and retries as fit into it.

    `wait` looks at a failure and answers the seconds to wait at least before the next try, or None
    when trying again cannot help. `renew` is called behind a call that was abandoned.
    """

    def __init__(
        self,
        patience: Patience,
        wait: Callable[[BaseException], float | None],
        *,
        renew: Callable[[], object] = lambda: None,
        size: int = 0,
    ) -> None:
        self._patience = patience
        self._wait = wait
        self._renew = renew
        self._end = time.monotonic() + patience.seconds + size / SLOWEST

    def left(self) -> float:
        """Seconds until the patience ends, below 0 behind that."""
        return self._end - time.monotonic()

    def __call__(self, work: Callable[[], T], *, size: int = 0) -> T:
        """The result of `work`, tried until it succeeds, cannot succeed, or the time is over."""
        tries, told = 0, None
        while True:
            try:
                return within(min(self._patience.call + size / SLOWEST, max(self.left(), 0.1)), work)
            except Exception as error:
                if isinstance(error, TooSlow):
                    self._renew()
                # A try cut short by the end of the time says less than the one before it.
                told = told if told and isinstance(error, TooSlow) else error
                pause = self._pause(error, tries)
            if pause is None:
                raise told
            time.sleep(pause)
            tries += 1

    def _pause(self, error: BaseException, tries: int) -> float | None:
        asked = 0.0 if isinstance(error, TooSlow) else self._wait(error)
        if asked is None:
            return None
        longest = min(self._patience.longest_wait, self._patience.first_wait * 2 ** min(tries, 16))
        pause = asked + longest * _dice.uniform(0.5, 1.0)
        return pause if pause < self.left() else None


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or TooSlow after `seconds`; the abandoned thread is told to stop."""
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
        raise TooSlow(f"no answer within {seconds:.0f} seconds")
    if errors:
        raise errors[0]
    return results[0]


def _abandon(thread: threading.Thread) -> None:
    """Ends a loop in `thread`, such as create_repo's endless retry of a 409, though nobody waits for it.

    It is told at its next bytecode, and again while it goes on: Python drops what is raised in a destructor.
    """

    def insist() -> None:
        while thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
            thread.join(INSIST_SECONDS)

    threading.Thread(target=insist, daemon=True, name="store-call-end").start()
