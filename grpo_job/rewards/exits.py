"""Keeps work that is not ours from ending the process: with code 0, a run cut off in its middle would look finished."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_end = os._exit


@contextmanager
def raised() -> Iterator[None]:
    """Within, `os._exit` raises `SystemExit`, as `sys.exit` does. A forked process still ends by it."""
    ours = os.getpid()

    def leave(status: int) -> NoReturn:
        if os.getpid() != ours:
            _end(status)
        raise SystemExit(status)

    os._exit = leave
    try:
        yield
    finally:
        os._exit = _end
