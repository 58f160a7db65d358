"""Of algebra at the end of an answer the whole is read, with LaTeX or without, and its last number is not paid."""

import pytest

from grpo_job.rewards.answers import correct_anywhere, last_answer


@pytest.mark.parametrize(
    ("said", "read", "right", "wrong"),
    [
        ("The factored form is (x-2)(x+3).", "(x-2)(x+3)", "(x+3)(x-2)", "x+3"),
        ("So we get 3(x-2)", "3(x-2)", "3x-6", "x-2"),
        ("So z = 3 + 2i.", "3 + 2i", "2i+3", "2"),
        ("That makes 5x", "5x", "5x", "5"),
        ("The sum is n(n+1)/2.", "n(n+1)/2", r"\frac{n(n+1)}{2}", "2"),
        ("The line is y = -3/4 x + 2.", "-3/4 x + 2", r"2-\frac{3x}{4}", "2"),
        ("So we get x**2 - 4.", "x**2 - 4", "(x-2)(x+2)", "4"),
        ("So we get x²-4.", "x²-4", "(x-2)(x+2)", "4"),
        ("That is 3 * 24", "3 * 24", "3 * 24", "24"),
        ("He pays $1,000(1.05)", "$1,000(1.05)", "$1,000(1.05)", "1.05"),
        ("He earned $10k.", "$10k", "10000", "10"),
        ("So the odds are 1 in 6.", "1 in 6", "1 in 6", "6"),
    ],
)
def test_the_whole_of_it_is_read(said: str, read: str, right: str, wrong: str) -> None:
    assert last_answer(said) == read
    assert correct_anywhere(said, right) == 1.0
    assert correct_anywhere(said, wrong) == 0.0


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("It weighs 72kg", "72"),
        ("He drove 60 km/h", "60"),
        ("It is 3x as many", "3"),
        ("He ran 100m", "100"),
        ("They are in room (72)", "72"),
        ("She has 2 dozen eggs.", "2"),
        ("It is $5(five)", "$5"),
        ("2(3 + 4) = 14", "14"),
        ("3 * 24 = 72", "72"),
    ],
)
def test_what_is_no_algebra_is_read_as_its_number(said: str, read: str) -> None:
    assert last_answer(said) == read
