"""Keeps work that is not ours from ending the process, with code 0, as if the run were finished; or from changing it.

A handler of its own for SIGTERM would switch off the orderly stop of the run, and a folder of its own would move the
relative paths of settings, and an output of its own would hide the end of the run, or show its secrets.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_end = os._exit


@contextmanager
def raised() -> Iterator[None]:
    """Within, `os._exit` raises `SystemExit`, as `sys.exit` does. A forked process still ends by it.

    Afterwards the handlers of signals, the working folder and the output are those from before.
    """
    folder, output = _working_folder(), (sys.stdout, sys.stderr)
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
        sys.stdout, sys.stderr = output
        if folder:
            with suppress(OSError):  # it was removed
                os.chdir(folder)
        if os.getpid() == ours and threading.current_thread() is threading.main_thread():  # else none was set
            for number, handler in handlers:
                if signal.getsignal(number) != handler and handler is not None:
                    signal.signal(number, handler)


def _working_folder() -> Path | None:
    """None where it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return None
