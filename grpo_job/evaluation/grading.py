"""Generates completions for the held-out rows in one batched call, and grades them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from grpo_job.evaluation.completion import Completion

Grader = Callable[[str, str], bool]
# What one reward pays for completions, each with its row.
Reward = Callable[[Sequence[str], Sequence[dict[str, Any]]], Sequence[float | None]]
Generate = Callable[..., list[list[Completion]]]

TEMPERATURE = 1.0  # of the sampled answers


class Graders(NamedTuple):
    """How a completion is graded against a row's answer.

    `answer`: the answer given in the asked-for place is right. `lenient`: the last answer anywhere in the
    text is right. `format`: the asked-for shape was kept. `read` answers what `lenient` takes for the answer.
    """

    answer: Grader
    lenient: Grader
    format: Grader
    read: Callable[[str], str | None]


def ask(
    generate: Generate,
    rows: Sequence[dict[str, Any]],
    graders: Graders,
    *,
    rewards: Mapping[str, Reward] | None = None,
    samples: int = 1,
) -> list[dict[str, Any]]:
    """One record per row: question, gold answer, greedy completion, grades, and each reward.

    `generate(prompts)` decodes greedily; if `samples` is above 1, `generate(prompts, samples=, temperature=)` is called
    for avg@k and pass@k, and each record has its `samples`.
    """
    prompts = [row["prompt"] for row in rows]
    answers = [drawn[0] for drawn in generate(prompts)]
    records = [grade(row, answer, graders) for row, answer in zip(rows, answers, strict=True)]
    paid = {name: reward([answer.said for answer in answers], rows) for name, reward in (rewards or {}).items()}
    for number, record in enumerate(records if paid else []):
        record["rewards"] = {name: scores[number] for name, scores in paid.items()}
    if samples > 1:
        drawn = generate(prompts, samples=samples, temperature=TEMPERATURE)
        for row, record, group in zip(rows, records, drawn, strict=True):
            record["samples"] = [
                {"completion": one.text, "correct": right(graders.lenient, one.whole_words, row)} for one in group
            ]
    return records


def grade(row: dict[str, Any], completion: Completion, graders: Graders) -> dict[str, Any]:
    """The record of one row and one completion; with all right answers as `golds` where there are several."""
    golds, said = row.get("answers") or (), completion.whole_words
    return {
        "question": row["question"],
        "gold": row["answer"],
        **({"golds": list(golds)} if len(golds) > 1 else {}),
        "completion": completion.text,
        "tokens": completion.tokens,
        "truncated": completion.truncated,
        "answer": graders.read(said),
        "correct": right(graders.answer, said, row),
        "correct_lenient": right(graders.lenient, said, row),
        "format": right(graders.format, completion.text, row),
    }


def right(grader: Grader, completion: str, row: Mapping[str, Any]) -> bool:
    """Whether one of the row's right answers makes the completion pass; a row may have several in `answers`."""
    return any(grader(completion, gold) for gold in row.get("answers") or [row["answer"]])


def golds_of(record: Mapping[str, Any]) -> Sequence[str]:
    """All right answers that a record has."""
    return record.get("golds") or [record["gold"]]


def share(records: Sequence[dict[str, Any]], key: str) -> float | None:
    """The share of records for which `key` is true, between 0 and 1; None without records."""
    return sum(bool(record[key]) for record in records) / len(records) if records else None
