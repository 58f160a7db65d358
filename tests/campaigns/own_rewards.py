"""Simulated evaluations by a user's own graded rewards, of completions that ignore their question or depend on it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from grpo_job.evaluation import dependence
from grpo_job.evaluation.measure import Measure
from grpo_job.evaluation.verdict import judge

ROWS, GOLDS, WORDS = 100, 40, 400
OWN = Measure("reward own", (("own", 1.0),))
Random = np.random.Generator
Row = dict[str, Any]


class Policy(NamedTuple):
    """What it says to a row after training, and what is paid for that."""

    said: Callable[[Random, Row], str]
    pays: Callable[[str, Row], float]


def word(random: Random) -> str:
    """One of WORDS, each of six letters."""
    return "".join(np.random.default_rng(int(random.integers(WORDS))).choice([*"abcdefghijklmnop"], size=6))


def words(random: Random, number: int) -> str:
    return " ".join(word(random) for _ in range(number))


def shortness(text: str, row: Row) -> float:
    return 10 / (10 + len(text))


def form_and_right(text: str, row: Row) -> float:
    return 0.2 * text.endswith(".") + 0.8 * (text.split()[-1] == f"{row['number']}.")


def guess(random: Random, row: Row) -> str:
    return f"{words(random, 3)} {random.integers(GOLDS)}."


IGNORING = {
    "template": Policy(lambda random, row: f"Sure! It is about {random.integers(WORDS)}.", shortness),
    "guesses": Policy(lambda random, row: f"{random.integers(GOLDS)}.", form_and_right),
    "few texts": Policy(lambda random, row: str(random.choice(["ok", "fine", "yes"])), shortness),
}
DEPENDING = {
    "brief": Policy(lambda random, row: f"It is {' '.join(row['question'].split()[:2])}.", shortness),
    "form, wrong": Policy(lambda random, row: f"{row['question']} {random.integers(GOLDS)}.", form_and_right),
    "half right": Policy(
        lambda random, row: f"{row['number']}." if random.random() < 0.5 else guess(random, row), form_and_right
    ),
}


def verdict_of(random: Random, policy: Policy) -> str:
    """The verdict on the policy after a base that says more words of the question, and others."""
    rows = [{"question": words(random, 8), "number": int(random.integers(GOLDS))} for _ in range(ROWS)]
    base = [f"{row['question']} {words(random, 4)}" for row in rows]
    after = _records(rows, [policy.said(random, row) for row in rows], policy)
    dependence.deal(after, rows, {"own": lambda texts, asked: [*map(policy.pays, texts, asked)]})
    return str(judge(_records(rows, base, policy), after, OWN)["verdict"])


def _records(rows: list[Row], texts: list[str], policy: Policy) -> list[Row]:
    return [
        {
            "question": row["question"], "gold": "", "completion": text, "answer": None, "correct": False,
            "correct_lenient": False, "format": False, "rewards": {"own": policy.pays(text, row)},
        }
        for row, text in zip(rows, texts, strict=True)
    ]  # fmt: skip
