"""A completion, with what its text does not tell."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from grpo_job.evaluation import grading
from grpo_job.evaluation.completion import Completion, Truncated, said
from grpo_job.phases.evaluate import GRADERS


def ended(text: str) -> Completion:
    """One that came to an end by itself."""
    return Completion(text, len(text.split()) + 1, truncated=False)


def cut_off(text: str) -> Completion:
    return Completion(text, len(text.split()), truncated=True)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("The answer is 12.\nThe answer is 1", "12"),
        ("It costs $1,20", None),
        ("It is 3.", None),
        ("So 7 - 2 = 5 apples. So, 30", "5"),
        ("<answer>12</answer> and", "12"),
        ("<answer>12</answer>\n", "12"),
        ("So it is 12, because", "12"),
    ],
)
def test_the_number_within_which_a_completion_may_have_been_cut_off_is_not_its_answer(
    text: str, read: str | None
) -> None:
    assert GRADERS.read(cut_off(text).whole_words) == read


@pytest.mark.parametrize("text", ["The answer is 1", "答案是12", "Ответ: двенадцать"])
def test_what_ended_by_itself_stays_whole(text: str) -> None:
    assert ended(text).whole_words == text


@pytest.mark.parametrize(("text", "whole"), [("答案是12", "答案是"), ("Ответ: двенадцать", "Ответ: двенадцать")])
def test_of_other_scripts_only_a_number_counts_as_cut_off(text: str, whole: str) -> None:
    assert cut_off(text).whole_words == whole


def test_a_record_knows_that_its_completion_was_cut_off() -> None:
    row = {"prompt": [], "question": "?", "answer": "1"}
    sides = [grading.grade(row, completion("The answer is 1"), GRADERS) for completion in (ended, cut_off)]
    assert [(side["correct_lenient"], side["truncated"], side["tokens"]) for side in sides] == [
        (True, False, 5),
        (False, True, 4),
    ]
    assert sides[1]["completion"] == "The answer is 1"


def test_rewards_are_told_which_completions_were_truncated() -> None:
    told: list[bool] = []

    def paid(texts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[float]:
        told.extend(isinstance(text, Truncated) for text in texts)
        return [0.0] * len(texts)

    rows = [{"prompt": n, "question": str(n), "answer": "4"} for n in range(2)]
    records = grading.ask(lambda prompts: [[ended("4")], [cut_off("4")]], rows, GRADERS, rewards={"own": paid})
    told.extend(isinstance(said(record), Truncated) for record in records)
    assert told == [False, True] * 2
