"""What an error of a client means that no table knows: one sentence, with the cure last."""

from collections.abc import Callable
from typing import TypeVar

from grpo_job.outcomes import RunEnded, causes, in_one_line
from grpo_job.stores.retries import StoreFailed

T = TypeVar("T")

LONGEST = 200  # characters of a path


def told(error: BaseException) -> str:
    """The file or the package that is the matter, else the error itself.

    >>> told(FileNotFoundError(2, "No such file or directory", "/ca.pem"))
    "/ca.pem: No such file or directory: let the job's user read and write it, or name another place"
    """
    if isinstance(error, RunEnded | StoreFailed):
        return str(error)
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.filename is not None:
            path = str(cause.filename)[:LONGEST]
            return f"{path}: {cause.strerror}: let the job's user read and write it, or name another place"
        if isinstance(cause, ImportError) and cause.name:
            return f"the package {cause.name} cannot be imported ({in_one_line(cause)}): install it"
    kind = type(error).__name__
    return f"{kind}: {in_one_line(error)}: correct what it names, in the settings or in the clients' variables"


def called(
    work: Callable[[], T],
    uri: str,
    known: tuple[type[BaseException], ...],
    failed: Callable[[BaseException], StoreFailed],
) -> T:
    """What the work of a client returns. Whatever it raises becomes a `StoreFailed`, of `known` errors by `failed`."""
    try:
        return work()
    except StoreFailed:
        raise
    except known as error:
        raise failed(error) from error
    except Exception as error:
        raise StoreFailed(f"{uri}: {told(error)}.") from error
