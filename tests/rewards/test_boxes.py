"""Boxes that "and", "or" or a comma joins are one answer, in completions and in golds."""

import pytest

from grpo_job.inputs.row_values import golds
from grpo_job.rewards.answers import correct_anywhere

JOINED = [
    r"So \boxed{2} and \boxed{3}.",
    r"$x = \boxed{2}$ or $x = \boxed{3}$",
    r"\boxed{2} \quad\text{or}\quad \fbox{3}",
]


@pytest.mark.parametrize("written", JOINED)
def test_joined_boxes_are_all_of_the_answer(written: str) -> None:
    assert [correct_anywhere(written, gold) for gold in ("2, 3", "2 and 3", "3", "2")] == [1.0, 1.0, 0.0, 0.0]
    (gold,) = golds(written)
    assert [correct_anywhere(said, gold) for said in (*JOINED, r"\boxed{3}")] == [1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "written", [r"\boxed{2}, so \boxed{3}", r"\boxed{2} and \boxed{3}. So \boxed{3}", r"\boxed{3}, \boxed{3}"]
)
def test_of_other_boxes_the_last_is(written: str) -> None:
    assert correct_anywhere(written, "3") == 1.0
    assert golds(written) == ["3"]
