"""A run ends in order before its hours or its money are spent, on a clock of the test's own."""

import random

import pytest

from grpo_job.monitoring.budget import Budget, cost, limit_seconds, limiting_variable
from grpo_job.settings.schema import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulated(
    settings: Settings, *, step: float, evaluation: float, seed: int, planned: int = 250
) -> tuple[int, float]:
    """A whole run: load, evaluate, train, evaluate, save, publish; answers the steps done and all seconds."""
    dice, clock = random.Random(seed), Clock()
    budget = Budget(settings, clock)

    def spend(seconds: float) -> float:
        took = seconds * dice.uniform(0.85, 1.15)
        clock.now += took
        return took

    spend(90)
    budget.took("evaluate", spend(evaluation))
    done, planned = 0, 250
    while done < planned and not (done and budget.reason_to_stop(done, planned)):
        budget.step_took(spend(step * (20 if done == 0 else 1)))  # the first step compiles
        done += 1
        if done % 25 == 0:
            budget.took("save", spend(2))
    for rest in (evaluation, 2.0, 6.0, 1.0):  # evaluate, save, report, publish
        spend(rest)
    return done, clock.now


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("step", "evaluation"), [(1.2, 25.0), (4.0, 120.0), (20.0, 10.0), (0.3, 60.0)])
def test_a_third_of_the_time_is_overshot_by_a_tenth_at_most_and_well_used(
    step: float, evaluation: float, seed: int
) -> None:
    needed = simulated(Settings(), step=step, evaluation=evaluation, seed=seed)[1]
    limit = needed / 3
    done, took = simulated(
        Settings(max_hours=limit / 3600, publish_to=("file:///out",)), step=step, evaluation=evaluation, seed=seed
    )
    assert took <= 1.1 * limit or done == 1
    assert took >= 0.6 * limit
    assert done < 250


def test_without_a_limit_nothing_ends_it() -> None:
    assert simulated(Settings(), step=1, evaluation=10, seed=1)[0] == 250
    assert limit_seconds(Settings()) is None


def test_enough_time_trains_all_steps() -> None:
    assert simulated(Settings(max_hours=2), step=1, evaluation=10, seed=1)[0] == 250


def test_money_is_a_limit_of_hours_and_the_lesser_counts() -> None:
    priced = {"price_per_hour": 4.0, "max_cost": 2.0}
    assert limit_seconds(Settings(**priced)) == 1800
    assert limiting_variable(Settings(**priced)) == "GRPO_MAX_COST=2"
    assert limit_seconds(Settings(**priced, max_hours=0.25)) == 900
    assert limiting_variable(Settings(**priced, max_hours=0.25)) == "GRPO_MAX_HOURS=0.25"
    assert limiting_variable(Settings(**priced, max_hours=3)) == "GRPO_MAX_COST=2"


def test_time_of_earlier_attempts_is_spent_already() -> None:
    clock = Clock()
    clock.now = 3500.0
    budget = Budget(Settings(max_hours=1), clock)
    budget.step_took(100.0)
    assert "step 7 of 250" in (budget.reason_to_stop(7, 250) or "")


def test_the_reason_says_where_it_ended_and_by_which_limit() -> None:
    clock = Clock()
    clock.now = 590.0
    budget = Budget(Settings(max_cost=1, price_per_hour=6), clock)
    budget.step_took(5.0)
    assert budget.reason_to_stop(83, 250) == (
        "ended after step 83 of 250, then evaluated and saved: another step would not fit into GRPO_MAX_COST=1"
    )


def test_a_run_that_is_done_is_not_ended() -> None:
    clock = Clock()
    clock.now = 1e6
    budget = Budget(Settings(max_hours=1), clock)
    budget.step_took(5.0)
    assert budget.reason_to_stop(250, 250) is None


def test_a_budget_that_leaves_no_time_for_a_step_is_refused_before_the_first() -> None:
    clock = Clock()
    clock.now = 100.0
    budget = Budget(Settings(max_hours=180 / 3600), clock)
    assert budget.reason_to_refuse() is None
    budget.took("evaluate", 70.0)
    assert "GRPO_MAX_HOURS=0.05 leaves no time for a first step" in (budget.reason_to_refuse() or "")


def test_of_a_run_that_goes_on_the_time_is_held_against_what_comes_after_the_training() -> None:
    clock = Clock()
    budget = Budget(Settings(max_hours=100 / 3600), clock)
    budget.took("evaluate", 40.0)
    assert budget.reason_to_stop(20, 250) is None
    clock.now = 60.0
    assert "ended after step 20 of 250" in (budget.reason_to_stop(20, 250) or "")


def test_the_longest_of_the_last_steps_is_what_the_next_may_take() -> None:
    clock = Clock()
    budget = Budget(Settings(max_hours=110 / 3600), clock)
    budget.took("save", 0.0)
    for seconds in (60.0, *[1.0] * 20):  # the first one compiled, and is forgotten by then
        budget.step_took(seconds)
    clock.now = 95.0
    assert budget.reason_to_stop(21, 250) is None
    budget.step_took(10.0)
    assert budget.reason_to_stop(22, 250)


def test_cost_is_told_by_phase() -> None:
    assert cost({"train": 1800.0, "first_step": 90.0, "total": 3600.0}, 2.5) == {
        "currency": "USD", "total": 2.5, "train": 1.25,
    }  # fmt: skip
    assert cost({"total": 3600.0}, None) is None
