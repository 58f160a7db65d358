"""What evaluation takes, what it can show, and which training rows it takes for itself."""

import pytest

from grpo_job import preflight
from grpo_job.inputs import sample
from grpo_job.preflight.findings import Finding
from grpo_job.settings.reader import resolve
from tests.preflight.world import World, rows_of


def said(world: World, check: str) -> list[Finding]:
    return [finding for finding in world.examine() if finding.name == check]


def test_the_check_tells_cost_and_smallest_visible_change(world: World) -> None:
    world.set(PRICE_PER_HOUR="3600")
    (finding,) = said(world, "evaluation")
    assert finding.status == "passed"
    assert "100 held-out rows, about " in finding.sentence
    assert "US dollars) before training and again after it" in finding.sentence
    assert "a change of about 12.5 points or more can be seen if 20% of the answers change" in finding.sentence


def test_of_too_few_rows_for_a_verdict_no_visible_change_is_told(world: World) -> None:
    world.set(EVAL_ROWS="49")
    (finding,) = said(world, "evaluation")
    assert finding.sentence.endswith("; too few for a verdict, which needs 50")


def test_one_row_is_told_as_one(world: World) -> None:
    world.set(EVAL_ROWS="1")
    told = [finding.sentence for finding in world.examine()]
    assert any(sentence.startswith("1 held-out row, about ") for sentence in told)
    assert any(sentence.startswith("1 held-out row pins accuracy down only to ") for sentence in told)


def test_rows_to_choose_by_are_taken_out_of_the_training_rows(world: World) -> None:
    world.set(EVAL_STEPS="5", EVAL_STEPS_ROWS="15")
    (finding,) = said(world, "rows to choose by")
    assert said(world, "rows")[0].sentence.startswith("training on 85 of 100 rows (left out: 15 set apart); ")
    assert "15 training rows are set apart to choose by and not trained on; 4 evaluations, about " in finding.sentence
    checked = preflight.check(resolve(world.environment).settings, world.environment)
    trained, chosen = ({row["question"] for row in rows} for rows in (checked.rows.train, checked.choosing))
    assert (len(trained), len(chosen)) == (85, 15)
    assert not trained & chosen


def test_without_eval_steps_all_rows_are_trained_on(world: World) -> None:
    assert said(world, "rows to choose by") == []
    checked = preflight.check(resolve(world.environment).settings, world.environment)
    assert (len(checked.rows.train), len(checked.choosing)) == (100, 0)


def test_too_few_rows_to_train_on_beside_those_are_refused(world: World) -> None:
    world.rows(train=rows_of(sample.TRAIN, 8))
    world.set(EVAL_STEPS="5")
    (failed,) = world.failed()
    assert failed.sentence.startswith(
        "GRPO_EVAL_STEPS: 5 was given; it takes 1 of 8 training rows to evaluate on, and "
    )


@pytest.mark.parametrize(("goal", "cure"), [("0.95", "set GRPO_EVAL_STEPS_ROWS=73 or more"), ("1", "set a lower goal")])
def test_a_goal_above_the_interval_of_all_right_is_told(world: World, goal: str, cure: str) -> None:
    world.rows(train=rows_of(sample.TRAIN, 400))
    world.set(EVAL_STEPS="5", STOP_AT_ACCURACY=goal)
    warned = [finding for finding in said(world, "rows to choose by") if finding.status == "warned"]
    assert f"GRPO_STOP_AT_ACCURACY={float(goal):g} cannot be reached on 64 rows" in warned[0].sentence
    assert cure in warned[0].sentence
    world.set(STOP_AT_ACCURACY="0.9")
    assert [finding.status for finding in said(world, "rows to choose by")] == ["passed"]


def test_a_goal_may_be_beyond_1_only_where_the_measure_may(world: World) -> None:
    world.set(EVAL_STEPS="5", STOP_AT_ACCURACY="1.5", REWARDS="format_tags:1,tag_count:1")
    assert [finding.status for finding in said(world, "rows to choose by")] == ["passed"]
    world.set(REWARDS="correct:2,format_tags:1")
    (failed,) = world.failed()
    assert failed.sentence == (
        "GRPO_STOP_AT_ACCURACY: 1.5 was given; the measure is a share of right answers; allowed: a number above 0, at "
        "most 1"
    )
