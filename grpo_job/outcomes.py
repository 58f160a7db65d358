"""The ways a run can end, and the exit code of each.

Raise one of these anywhere; it travels to the door (`cli.py`), which records the ending and exits
with its code. Anything else that is raised is an `unexpected` error with code 1.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple


class Outcome(NamedTuple):
    """How a run ended, as it stands in `summary.json`.

    `code` is the exit code, `kind` one word for machines, `reason` one sentence for people.
    """

    code: int
    kind: str
    reason: str


class ExitCode(NamedTuple):
    """One row of the exit-code table: what it means, and what a cluster should do about it."""

    code: int
    kind: str
    meaning: str
    cluster_should: str


EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h
RESTART = "again"  # the kind of an ending that no cluster sees: the door starts the process anew

FINISHED = Outcome(0, "finished", "trained, evaluated, published and read back")

EXIT_CODES = (
    ExitCode(*FINISHED, "be glad"),
    ExitCode(1, "unexpected", "unexpected error", "try again, a few times"),
    ExitCode(2, "refused", "settings, credentials, data or machine refused before training", "not try again"),
    ExitCode(
        3,
        "unpublished",
        "trained, not published: the artefacts are kept, `grpo-job publish RUN` finishes without a GPU",
        "not train again",
    ),
    ExitCode(
        4,
        "hopeless",
        "stopped because the run cannot succeed, or its verdict is below `GRPO_PUBLISH_IF`; the adapter is kept",
        "not try again",
    ),
    ExitCode(5, "held", "another live attempt holds this run", "not try again"),
    ExitCode(
        EXIT_INTERRUPTED,
        "interrupted",
        "interrupted (SIGTERM, preemption) with progress since the last attempt: resumable, nothing published",
        "try again, uncounted",
    ),
)


class RunEnded(Exception):
    """A run that ends for a known reason. `str()` of it is the sentence a user reads."""

    code: ClassVar[int] = 1
    kind: ClassVar[str] = "unexpected"

    def outcome(self) -> Outcome:
        return Outcome(self.code, self.kind, str(self))


class Unexpected(RunEnded):
    """Something broke that a new attempt may get past, such as a hang (exit 1)."""


class InvalidRun(RunEnded):
    """Settings, credentials, data or machine cannot give a run (exit 2). Holds every fault found."""

    code = 2
    kind = "refused"

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class PublishFailed(RunEnded):
    """Trained, but not every destination holds the result (exit 3)."""

    code = 3
    kind = "unpublished"


class Abandoned(RunEnded):
    """Training on cannot help, or the result is below what was asked for (exit 4)."""

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
    """The error and what lies behind it: libraries wrap errors in their own, some without `from`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def in_one_line(error: BaseException) -> str:
    """What an error says, for the middle of a sentence: at most 300 characters.

    >>> in_one_line(ValueError("no such\\n  column.")), in_one_line(KeyError())
    ('no such column', 'KeyError')
    """
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
