"""Asks a model the held-out questions and grades the answers: greedy, one batched call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Grader = Callable[[str, str], bool]
Reward = Callable[[str, str], float | None]
Generate = Callable[..., list[list[str]]]

TEMPERATURE = 1.0  # of the sampled answers


class Graders(NamedTuple):
    """How a completion is judged against a row's answer.

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
    """One record a row: question, gold answer, greedy completion, the judgements, and what each reward pays.

    `generate(prompts)` answers greedily; with `samples` above 1, `generate(prompts, samples=, temperature=)` is
    called once more for avg@k and pass@k, and each record holds its `samples` too.
    """
    prompts = [row["prompt"] for row in rows]
    answers = generate(prompts)
    records = [grade(row, texts[0], graders, rewards) for row, texts in zip(rows, answers, strict=True)]
    if samples > 1:
        drawn = generate(prompts, samples=samples, temperature=TEMPERATURE)
        for record, texts in zip(records, drawn, strict=True):
            record["samples"] = [
                {"completion": text, "correct": graders.answer(text, record["gold"])} for text in texts
            ]
    return records


def grade(
    row: dict[str, Any], completion: str, graders: Graders, rewards: Mapping[str, Reward] | None = None
) -> dict[str, Any]:
    """The record of one row and one completion."""
    gold = row["answer"]
    record = {
        "question": row["question"],
        "gold": gold,
        "completion": completion,
        "answer": graders.read(completion),
        "correct": graders.answer(completion, gold),
        "correct_lenient": graders.lenient(completion, gold),
        "format": graders.format(completion, gold),
    }
    if rewards:
        record["rewards"] = {name: reward(completion, gold) for name, reward in rewards.items()}
    return record


def share(records: Sequence[dict[str, Any]], key: str) -> float | None:
    """The share of records for which `key` holds, between 0 and 1; None without records."""
    return sum(bool(record[key]) for record in records) / len(records) if records else None
