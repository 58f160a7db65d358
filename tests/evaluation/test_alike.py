"""How alike answers of different prompts are, on made policies."""

import random
from collections.abc import Callable

import pytest

from grpo_job.evaluation.alike import Group, alike_between, known_above_chance

Policy = Callable[[str, random.Random], str]


def groups(policy: Policy, golds: list[str], seed: int = 0) -> list[Group]:
    dice = random.Random(seed)
    return [Group(gold, tuple(policy(gold, dice) for _ in range(4))) for gold in golds]


NUMBERS = [str(number % 40) for number in range(80)]
YES_NO = ["yes", "no"] * 40


def constant(gold: str, dice: random.Random) -> str:
    return "8"


def knowing(share: float, other: str) -> Policy:
    return lambda gold, dice: gold if dice.random() < share else other


@pytest.mark.parametrize(
    ("policy", "golds", "least", "most"),
    [
        (constant, NUMBERS, 1.0, 1.0),
        (lambda gold, dice: str(dice.randrange(40)), NUMBERS, -0.05, 0.05),
        (knowing(0.9, "0"), NUMBERS, -0.05, 0.05),
        (lambda gold, dice: "yes", YES_NO, 1.0, 1.0),
        (knowing(0.9, "yes"), YES_NO, -0.1, 0.1),
        (lambda gold, dice: dice.choice(["yes", "no"]), YES_NO, -0.1, 0.1),
    ],
)
def test_answers_are_as_alike_as_their_golds_or_all_the_same(
    policy: Policy, golds: list[str], least: float, most: float
) -> None:
    found = alike_between(groups(policy, golds))
    assert found is not None
    assert least - 1e-9 <= found <= most + 1e-9


def test_golds_that_hardly_differ_are_not_judged() -> None:
    assert alike_between(groups(constant, ["yes"] * 97 + ["no"] * 3)) is None
    assert alike_between([]) is None


def test_only_answers_that_depend_on_the_question_are_known() -> None:
    assert known_above_chance(groups(constant, NUMBERS)) <= 0
    assert known_above_chance(groups(lambda gold, dice: dice.choice(["yes", "no"]), YES_NO)) <= 0
    assert known_above_chance(groups(knowing(0.3, "8"), NUMBERS)) > 0.1
