"""The shared cases, of every kind of answer: what is right is paid, and what is wrong is not."""

import json
from pathlib import Path

import pytest

from grpo_job.rewards import MENU

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "grading.jsonl").read_text(encoding="utf-8").splitlines()
]
RIGHT = [case for case in CASES if case["expected"] == 1.0]
WRONG = [case for case in CASES if case["expected"] == 0.0]


def paid(case: dict[str, str]) -> float | None:
    return MENU[case["reward"]](case["completion"], case["answer"])


def test_of_the_right_answers_at_least_98_percent_are_paid() -> None:
    unpaid = [case for case in RIGHT if paid(case) != 1.0]
    assert len(RIGHT) == 159
    assert len(unpaid) <= 0.02 * len(RIGHT), unpaid


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["kind"])
def test_no_wrong_answer_is_paid(case: dict[str, str]) -> None:
    assert paid(case) == 0.0
