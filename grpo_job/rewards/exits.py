"""Keeps work that is not ours from ending the process, with code 0, as if the run were finished; or from its signals.

A handler of its own for SIGTERM would switch off the orderly stop of the run.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_end = os._exit


@contextmanager
def raised() -> Iterator[None]:
    """Within, `os._exit` raises `SystemExit`, as `sys.exit` does. A forked process still ends by it.

    Afterwards the handlers of signals are those from before.
    """
    ours, handlers = os.getpid(), [(number, signal.getsignal(number)) for number in OURS]

    def leave(status: int) -> NoReturn:
        if os.getpid() != ours:
            _end(status)
        raise SystemExit(status)

    os._exit = leave
    try:
        yield
    finally:
        os._exit = _end
        if os.getpid() == ours and threading.current_thread() is threading.main_thread():  # else none was set
            for number, handler in handlers:
                if signal.getsignal(number) != handler and handler is not None:
                    signal.signal(number, handler)
