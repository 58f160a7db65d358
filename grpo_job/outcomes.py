"""The ways a run can end, and the exit code of each.

Raise one of these anywhere; `cli.py` exits with its code. Any other exception is an `unexpected` error (code 1).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NamedTuple


class Outcome(NamedTuple):
    """How a run ended, as in `summary.json`: exit code, one word for machines, one sentence for people."""

    code: int
    kind: str
    reason: str


class ExitCode(NamedTuple):
    """One row of the exit-code table: its meaning, and what a cluster should do."""

    code: int
    kind: str
    meaning: str
    cluster_should: str


EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h
RESTART = "again"  # never seen by a cluster: `cli.py` restarts the process

FINISHED = Outcome(0, "finished", "trained, evaluated, published and verified")
NOT_PUBLISHED = "trained and evaluated; not published (GRPO_PUBLISH_TO is not set)"

EXIT_CODES = (
    ExitCode(0, "finished", "trained, evaluated, and published if GRPO_PUBLISH_TO is set", "do nothing"),
    ExitCode(1, "unexpected", "unexpected error", "retry a few times"),
    ExitCode(2, "refused", "settings, credentials, data or machine refused before training", "not retry"),
    ExitCode(
        3,
        "unpublished",
        "trained, not published: the artifacts are kept, `grpo-job publish RUN` publishes them without a GPU",
        "not retry; publish",
    ),
    ExitCode(
        4,
        "hopeless",
        "the run cannot succeed, a reward failed, or the verdict is below `GRPO_PUBLISH_IF`; the adapter is kept",
        "not retry",
    ),
    ExitCode(5, "held", "another live attempt holds this run", "not retry"),
    ExitCode(
        EXIT_INTERRUPTED,
        "interrupted",
        "interrupted (SIGTERM, SIGHUP, preemption) with progress since the last attempt: resumable, nothing published",
        "retry without counting it against the backoff limit",
    ),
)


class StopNow(BaseException):
    """Raised by the handler of a signal. Not an `Exception`, so that no library handles it as a failed call."""


STOPS = (StopNow, KeyboardInterrupt)  # whatever code is running, these are meant for the run


class RunEnded(Exception):
    """A run that ends for a known reason; `str()` is the message for the user."""

    code: ClassVar[int] = 1
    kind: ClassVar[str] = "unexpected"

    def outcome(self) -> Outcome:
        return Outcome(self.code, self.kind, str(self))


class Unexpected(RunEnded):
    """A failure that a retry may get past, such as a hang (exit 1)."""


class InvalidRun(RunEnded):
    """Settings, credentials, data or machine are unusable (exit 2). Holds every fault found."""

    code = 2
    kind = "refused"

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class Outage(InvalidRun):
    """What the run needs cannot be reached now, and nothing of it was refused: a retry may get past it (exit 1)."""

    code = 1
    kind = Unexpected.kind


class Unasked(InvalidRun):
    """What only the network knows, of a job that may not ask it: no fault of a check that was told so."""


@contextmanager
def starting_a_process() -> Iterator[None]:
    """Raises `InvalidRun` with the cure if the machine allows no further process."""
    try:
        yield
    except OSError as error:
        fault = f"'{sys.executable}' cannot be started as another process ({error.strerror})"
        cure = "allow more processes (`ulimit -u`, `--pids-limit`) and memory, and let this user run Python"
        raise InvalidRun(f"{fault}: {cure}") from error


class PublishFailed(RunEnded):
    """Trained, but not every destination holds the result (exit 3)."""

    code = 3
    kind = "unpublished"


class Abandoned(RunEnded):
    """More training cannot help, or the result is below GRPO_PUBLISH_IF (exit 4)."""

    code = 4
    kind = "hopeless"


class RunLocked(RunEnded):
    """Another live attempt holds this run (exit 5)."""

    code = 5
    kind = "held"


class Interrupted(RunEnded):
    """A signal asked the run to stop; a later attempt resumes it (exit 75)."""

    code = EXIT_INTERRUPTED
    kind = "interrupted"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes: libraries wrap errors in their own, some without `from`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def in_one_line(error: BaseException) -> str:
    """The error's message for the middle of a sentence: at most 300 characters.

    >>> in_one_line(ValueError("no such\\n  column.")), in_one_line(KeyError())
    ('no such column', 'KeyError')
    """
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
