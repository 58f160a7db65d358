"""What makes another question, and what is only another spelling."""

import pytest

from grpo_job.inputs.questions import normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is 3 < 5?", "Is 3 > 5?"),
        ("What is 1.5?", "What is 15?"),
        ("5 - 3", "5 + 3"),
        ("2*(3+4)", "2*3+4"),
        ("4!", "4"),
        ("What is 5²?", "What is 52?"),
    ],
)
def test_what_makes_another_problem_is_not_normalised_away(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_a_power_is_the_same_in_either_spelling() -> None:
    assert normalised("What is x¹² + 5²?") == normalised("What is x^12 + 5^2?")
