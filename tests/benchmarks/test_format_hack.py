"""What the simulated groups say of format without answers."""

from benchmarks.learning.format_hack import STAGES, Recipe, advantages

EARLY = STAGES["no format yet"]
BOTH = "correct:2,format_tags:{0},tag_count:{0}"


def test_scaled_by_the_group_a_smaller_weight_of_the_format_does_not_help() -> None:
    heavy, light = (advantages(Recipe(BOTH.format(weight)), EARLY) for weight in ("0.5", "0.1"))
    assert heavy["hack"] > 1.5
    assert light["hack"] > 0.9 * heavy["hack"]


def test_paid_through_answers_alone_format_without_answers_does_not_pay_and_with_them_it_does() -> None:
    for shares in STAGES.values():
        found = advantages(Recipe("correct_anywhere:1,correct:1"), shares)
        assert found["hack"] < 0 < found["honest"]


def test_unscaled_the_format_pays_what_it_weighs() -> None:
    found = advantages(Recipe(BOTH.format("0.1"), "none"), EARLY)
    assert 0 < found["hack"] < 0.3 < found["honest"]
