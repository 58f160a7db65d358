"""The ways a run can end, as CONTRACTS and README promise them to the outside."""

import pytest

from grpo_job import outcomes
from grpo_job.outcomes import EXIT_CODES, InvalidRun, Outcome, RunEnded

PROMISED = {
    0: ("finished", "trained, evaluated, and published if GRPO_PUBLISH_TO is set", "do nothing"),
    1: ("unexpected", "unexpected error", "retry a few times"),
    2: ("refused", "settings, credentials, data or machine refused before training", "not retry"),
    3: ("unpublished", "trained, not published: the artifacts are kept", "not retry; publish"),
    4: ("hopeless", "the run cannot succeed", "not retry"),
    5: ("held", "another live attempt holds this run", "not retry"),
    75: (
        "interrupted", "interrupted (SIGTERM, SIGHUP, preemption) with progress",
        "retry without counting it against the backoff limit",
    ),
}  # fmt: skip

KINDS = [
    kind for kind in vars(outcomes).values()
    if isinstance(kind, type) and issubclass(kind, RunEnded) and kind is not RunEnded
]  # fmt: skip


def test_the_exit_codes_are_those_that_were_promised() -> None:
    assert [row.code for row in EXIT_CODES] == list(PROMISED)


@pytest.mark.parametrize("row", EXIT_CODES, ids=lambda row: row.kind)
def test_each_exit_code_means_what_was_promised(row: outcomes.ExitCode) -> None:
    kind, meaning, advice = PROMISED[row.code]
    assert (row.kind, row.cluster_should) == (kind, advice)
    assert row.meaning.startswith(meaning)


@pytest.mark.parametrize("kind", KINDS)
def test_each_failure_has_the_code_and_the_word_of_one_row(kind: type[RunEnded]) -> None:
    row = next(row for row in EXIT_CODES if row.code == kind.code)
    assert kind("why").outcome() == Outcome(row.code, row.kind, "why")


def test_every_code_but_success_belongs_to_a_failure() -> None:
    assert {kind.code for kind in KINDS} == set(PROMISED) - {0}


def test_a_refusal_tells_every_fault_on_a_line_of_its_own() -> None:
    refusal = InvalidRun("first", "second")
    assert refusal.faults == ("first", "second")
    assert str(refusal) == "first\nsecond"
