"""Chooses the questions and answers that a report shows: held-out ones, sample prompts, completions of a step. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from grpo_job.reports.run_data import Record, RunData

SIDES = ("Gained", "Lost", "Wrong before and after", "Right before and after", "Unchanged")
SAMPLES_SHOWN = dict(zip(SIDES, (3, 2, 1, 1, 2), strict=True))
MOST_CHANGED = 60
MOST_TEXT = 1_500
ROLLOUTS_SHOWN = 3


class Sample(NamedTuple):
    """One held-out question, answered before and after."""

    side: str
    question: str
    gold: str
    before: Record
    after: Record


def side(run: RunData, before: Record, after: Record) -> str:
    """How a question changed by the measure of the run, one of SIDES."""
    old, new = (run.measure.of(record) or 0.0 for record in (before, after))
    if new != old:
        return SIDES[0 if new > old else 1]
    return SIDES[4] if not run.share else SIDES[3 if new else 2]


def right(run: RunData, record: Record) -> bool | None:
    """Whether a held-out answer is right: by the measure of the run if it reads answers, else read anywhere.

    None where it was not graded, or the row has no right answer.
    """
    if "correct" not in record or not record["gold"].strip():
        return None
    if run.measure.weights and run.measure.reads_answers:
        value = run.measure.of(record)
        return None if value is None else value == 1.0
    return bool(record.get("correct_lenient", record["correct"]))


def samples(run: RunData) -> list[Sample]:
    """The first few questions of each side."""
    chosen = []
    for name, shown in SAMPLES_SHOWN.items():
        chosen += [sample for sample in _samples(run) if sample.side == name][:shown]
    return chosen


def changed(run: RunData, name: str) -> tuple[list[Sample], int]:
    """The first MOST_CHANGED questions of that side, and how many more there are."""
    found = [sample for sample in _samples(run) if sample.side == name]
    return found[:MOST_CHANGED], max(0, len(found) - MOST_CHANGED)


def asked(run: RunData) -> list[Record]:
    """The answers to GRPO_SAMPLE_PROMPTS: `samples` of the summary."""
    found: list[Record] = run.summary.get("samples") or []
    return found


def rollouts(rows: Sequence[Record]) -> list[Record]:
    """The distinct completions of one step with the highest and the lowest advantage."""
    different = list({(str(row.get("prompt")), row.get("completion")): row for row in rows}.values())
    ranked = sorted(different, key=lambda row: -(row.get("advantage") or 0.0))
    half = ROLLOUTS_SHOWN // 2
    return ranked if len(ranked) <= ROLLOUTS_SHOWN else ranked[: ROLLOUTS_SHOWN - half] + ranked[-half:]


def question_of(prompt: Any) -> str:
    """The last message of a chat, or the prompt as it is."""
    return str(prompt[-1]["content"]) if isinstance(prompt, list) and prompt else str(prompt)


def shortened(completion: Any) -> str:
    """At most MOST_TEXT characters, saying how many follow."""
    whole = str(completion)
    left = len(whole) - MOST_TEXT
    return whole if left <= 0 else f"{whole[:MOST_TEXT]} … ({left:,} more characters)"


def _samples(run: RunData) -> Iterable[Sample]:
    return (Sample(side(run, old, new), old["question"], old["gold"], old, new) for old, new in run.pairs)
