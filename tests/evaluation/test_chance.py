"""What is earned without reading the question, against brute force and made policies."""

import random

import numpy as np
import pytest

from grpo_job.evaluation import chance

GOLDS = [str(number % 40) for number in range(400)]


def knowing(golds: list[str], share: float, otherwise: str, seed: int = 0) -> list[str]:
    """Right on `share` of the rows, else one wrong word."""
    dice = random.Random(seed)
    return [gold if dice.random() < share else otherwise for gold in golds]


def test_chance_is_what_shuffled_golds_give() -> None:
    dice = np.random.default_rng(0)
    answers = dice.choice(["a", "b", "c"], size=300, p=[0.7, 0.2, 0.1])
    golds = dice.choice(["a", "b", "d"], size=300, p=[0.5, 0.4, 0.1])
    shuffled = np.mean([(answers == dice.permutation(golds)).mean() for _ in range(4000)])
    assert chance.chance(answers.tolist(), golds.tolist()) == pytest.approx(shuffled, abs=0.003)


@pytest.mark.parametrize("number", ["1e9999999", "1e999999", "-1e-999999", "9" * 40, "0." + "3" * 40])
def test_numbers_too_long_to_be_counted_stay_as_they_are_written(number: str) -> None:
    assert chance.one_form(f"{number}.") == number


def test_a_constant_answer_gains_nothing_above_chance() -> None:
    found = chance.gain_above_chance(["?"] * 400, ["0"] * 400, GOLDS)
    assert found["after"] == 10 / 400
    assert found["gain"] == pytest.approx(0.0)
    assert found["gain_interval"] == pytest.approx((0.0, 0.0))


def test_what_was_learned_is_a_gain_above_chance_and_the_same_every_time() -> None:
    before, after = knowing(GOLDS, 0.1, "?"), knowing(GOLDS, 0.6, "?", seed=1)
    found = chance.gain_above_chance(before, after, GOLDS)
    assert found == chance.gain_above_chance(before, after, GOLDS)
    low, high = found["gain_interval"]
    assert 0.3 < low < found["gain"] < high < 0.7


def test_the_collapsed_run_is_collapsed_and_a_learned_one_is_not() -> None:
    assert chance.collapsed(["8"] * 399 + ["5"], GOLDS)
    assert not chance.collapsed(knowing(GOLDS, 0.8, "8"), GOLDS)
    assert not chance.collapsed([str(number % 7) for number in range(400)], GOLDS)


def test_few_answers_that_know_their_questions_are_no_collapse() -> None:
    """Imbalanced golds: 8 of the 20 rare ones found, and no other row given the rare answer."""
    golds = ["no"] * 380 + ["yes"] * 20
    assert not chance.collapsed(["no"] * 392 + ["yes"] * 8, golds)
    assert chance.collapsed(["no"] * 400, golds)


@pytest.mark.parametrize(
    "golds", [GOLDS[:99], ["7"] * 400, ["no"] * 391 + ["yes"] * 9], ids=["few rows", "constant", "nearly constant"]
)
def test_a_collapse_is_not_judged_where_it_cannot_be(golds: list[str]) -> None:
    assert not chance.collapsed(["8"] * len(golds), golds)


def test_narrowed_needs_an_answer_commoner_than_among_golds_and_the_bases_answers() -> None:
    many = ["8"] * 120 + GOLDS[120:]
    assert chance.narrowed(GOLDS, many, GOLDS)
    assert not chance.narrowed(["8"] * 100 + GOLDS[100:], many, GOLDS)
    assert not chance.narrowed(GOLDS, many, ["8"] * 200 + GOLDS[200:])


@pytest.mark.parametrize(("values", "rows"), [(2, 60), (4, 100), (40, 200)])
def test_the_p_value_is_that_of_shuffled_golds_and_the_bound_above_it(values: int, rows: int) -> None:
    """Of few values whole tables are drawn, of many the golds are shuffled."""
    dice = np.random.default_rng(values)
    answers, golds = dice.integers(0, values, rows), dice.integers(0, values, rows)
    expected = chance.chance(answers.astype(str).tolist(), golds.astype(str).tolist()) * rows
    matches = np.array([(answers == dice.permutation(golds)).sum() for _ in range(4000)])
    for quantile in (0.5, 0.9, 0.99):
        right = int(np.quantile(matches, quantile))
        share = (matches >= right).mean()
        assert chance._bound(right, expected) >= share
    given = (matches >= (answers == golds).sum()).mean()
    found = chance.shuffled_p(answers.astype(str).tolist(), golds.astype(str).tolist())
    assert found == pytest.approx(given, rel=0.5, abs=0.01)
