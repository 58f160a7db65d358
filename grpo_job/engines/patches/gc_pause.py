"""When Python collects garbage: not while a model loads (9 of 59 s), nor in the middle of a decode."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Within, garbage is looked for only where a library asks for it: a full look is at millions of objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_what_is_loaded() -> None:
    """What is in memory by now stays, so no later collection looks at it."""
    gc.collect()
    gc.freeze()
