"""Keeps a reward from ending the process with exit 0, as if the run were finished, and from changing it.

A process that it forks ends where it leaves the work: behind that it would go on as a second process of the run. A
handler of its own for SIGTERM would switch off the orderly stop of the run, and a folder of its own would move the
relative paths of settings, and an output of its own would hide the end of the run, or show its secrets.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from grpo_job.rewards import clock

OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_end, _ours = os._exit, os.getpid()


@contextmanager
def raised() -> Iterator[None]:
    """Within, `os._exit` raises `SystemExit`, as `sys.exit` does. A forked process ends by it, or at the latest here.

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
        if os.getpid() != ours:
            _end_forked(sys.exc_info()[1])
        os._exit = _leave_from_thread
        sys.stdout, sys.stderr = output
        if folder:
            with suppress(OSError):  # it was removed
                os.chdir(folder)
        if threading.current_thread() is threading.main_thread():  # else none was set
            for number, handler in handlers:
                if signal.getsignal(number) != handler and handler is not None:
                    signal.signal(number, handler)


def told(error: BaseException) -> str:
    """Type and message of an error of another's code, whose message may raise too.

    >>> told(ValueError("no such column"))
    'ValueError: no such column'
    """
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, whose message cannot be printed"


def _leave_from_thread(status: int) -> NoReturn:
    """`os._exit` between the calls, when a thread that a reward has started may call it; the run then ends with 4."""
    if os.getpid() == _ours and threading.current_thread() is not threading.main_thread():
        caller = sys._getframe(1)
        where = f"{caller.f_code.co_filename}, line {caller.f_lineno}"
        clock.give_up(f"a thread of another's code called os._exit({status}) at {where}: it must not end the run")
    _end(status)


def _end_forked(error: BaseException | None) -> NoReturn:
    """As Python ends a script that has returned, raised `error`, or asked for an exit code."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        with suppress(Exception):
            traceback.print_exception(error)
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    _end(code)


def _working_folder() -> Path | None:
    """None where it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return None
