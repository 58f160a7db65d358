"""Asks a model the held-out questions and grades the answers. Greedy, one batched call."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Grader = Callable[[str, str], bool]


class Graders(NamedTuple):
    """How a completion is judged against a row's answer.

    `answer`: the answer given in the asked-for place is right. `lenient`: the last answer anywhere in the
    text is right. `format`: the asked-for shape was kept.
    """

    answer: Grader
    lenient: Grader
    format: Grader


def ask(
    generate: Callable[[list[list[dict[str, str]]]], list[list[str]]],
    rows: Sequence[dict[str, Any]],
    graders: Graders,
) -> list[dict[str, Any]]:
    """One record a row: question, gold answer, completion, and the three judgements."""
    completions = generate([row["prompt"] for row in rows])
    return [grade(row, texts[0], graders) for row, texts in zip(rows, completions, strict=True)]


def grade(row: dict[str, Any], completion: str, graders: Graders) -> dict[str, Any]:
    """The record of one row and one completion."""
    gold = row["answer"]
    return {
        "question": row["question"],
        "gold": gold,
        "completion": completion,
        "correct": graders.answer(completion, gold),
        "correct_lenient": graders.lenient(completion, gold),
        "format": graders.format(completion, gold),
    }


def share(records: Sequence[dict[str, Any]], key: str) -> float | None:
    """The share of records for which `key` holds, between 0 and 1; None without records."""
    return sum(bool(record[key]) for record in records) / len(records) if records else None
