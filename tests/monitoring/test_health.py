"""The judge of a run's metrics: what is hopeless, what is odd, and what is healthy."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from grpo_job.monitoring.health import HELD_OUT, Finding, Health, judge
from grpo_job.settings.schema import Settings

SETTINGS = Settings(
    per_device_train_batch_size=64, num_generations=8, max_completion_length=64, eval_rows=200, warmup_steps=0
)
Change = Callable[[int], dict[str, Any]]


def run_of(steps: int, change: Change = lambda step: {}, *, rising: bool = True) -> list[dict[str, Any]]:
    """A healthy run of the sample, as measured, with what `change` says of each step."""
    dice = random.Random(7)
    rows = []
    for step in range(1, steps + 1):
        learned = min(1.0, step / 30) if rising else 0.0
        row = {
            "step": step,
            "loss": dice.uniform(-0.1, 0.02),
            "grad_norm": 0.03 * dice.uniform(0.5, 4.0),
            "reward": 1.6 + 0.7 * learned + dice.uniform(-0.1, 0.1),
            "reward_std": 1.0 - 0.6 * learned,
            "frac_reward_zero_std": 0.2 + 0.5 * learned,
            "entropy": 0.022 * (1 - 0.8 * learned),
            "completions/clipped_ratio": 0.0,
            "rewards/correct/mean": 0.5,
            "rewards/correct/std": 0.5,
            "rewards/format_tags/mean": 1.0,
            "rewards/format_tags/std": 0.0,
        }
        rows.append({**row, **change(step)})
    return rows


NO_SPREAD = {"reward": 0.0, "reward_std": 0.0, "frac_reward_zero_std": 1.0}


def judged(history: list[dict[str, Any]], settings: Settings = SETTINGS) -> list[Finding]:
    """Each kind at the severity and step it was first found, as a run hears of it."""
    health = Health(settings)
    return [finding for row in history for finding in health.update(row)]


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in found]


def test_a_healthy_run_is_left_alone_to_its_end() -> None:
    assert judged(run_of(200)) == []


def test_a_run_without_any_spread_is_warned_after_the_window_and_hopeless_after_four() -> None:
    found = [one for one in judged(run_of(60, lambda step: NO_SPREAD)) if one.kind == "no_signal"]
    # 64 groups are 8 steps, and 10 is the least
    assert [(one.severity, one.step) for one in found] == [("warn", 10), ("hopeless", 40)]
    assert "for 40 steps" in found[1].sentence
    assert "for 10 steps (mean reward 0, 0% truncated" in found[0].sentence
    assert "GRPO_REWARDS" in found[0].sentence


def test_a_run_of_one_group_a_step_is_given_as_many_groups() -> None:
    single = SETTINGS.model_copy(update={"per_device_train_batch_size": 8})
    assert judged(run_of(63, lambda step: NO_SPREAD), single) == []
    assert kinds(judged(run_of(64, lambda step: NO_SPREAD), single)) == [("hopeless", "no_signal")]


def test_one_group_with_spread_in_the_window_is_signal_enough() -> None:
    rare = run_of(100, lambda step: NO_SPREAD if step % 10 else {"reward": 0.03, "frac_reward_zero_std": 0.875})
    assert kinds(judged(rare)) == [("warn", "learned_nothing")]


def test_lines_of_several_steps_count_their_steps() -> None:
    sparse = SETTINGS.model_copy(update={"logging_steps": 5})
    history = [{**NO_SPREAD, "step": step} for step in (5, 10)]
    assert judged(history[:1], sparse) == []
    assert judged(history, sparse)[0].sentence.startswith("at step 10 every group")
    assert "for 10 steps" in judged(history, sparse)[0].sentence


def test_a_line_that_a_save_wrote_early_counts_its_own_steps_alone() -> None:
    sparse = SETTINGS.model_copy(update={"logging_steps": 10})
    truncated = run_of(10, lambda step: {"completions/clipped_ratio": 1.0}, rising=False)
    assert judged(truncated[:9], sparse) == []
    assert "100% of the completions of 10 steps" in judged(truncated, sparse)[0].sentence


def test_rows_that_are_all_solved_are_no_failure() -> None:
    solved = run_of(
        60, lambda step: {"reward": 2.5, "reward_std": 0.0, "frac_reward_zero_std": 1.0} if step > 30 else {}
    )
    assert kinds(judged(solved)) == [("warn", "all_solved")]


def test_a_run_that_collapses_from_a_good_start_is_hopeless() -> None:
    collapsed = run_of(70, lambda step: NO_SPREAD if step > 30 else {})
    assert ("hopeless", "no_signal") in kinds(judged(collapsed))


def test_rewards_that_cannot_be_graded_are_no_signal() -> None:
    ungraded = run_of(40, lambda step: {"reward": math.nan, "reward_std": math.nan, "frac_reward_zero_std": math.nan})
    assert ("hopeless", "no_signal") in kinds(judged(ungraded))


@pytest.mark.parametrize("number", [math.nan, None])
def test_a_run_that_has_learned_is_hopeless_too_once_nothing_is_graded_any_more(number: float | None) -> None:
    silent = {"reward": number, "reward_std": number, "frac_reward_zero_std": 0.0}
    found = [one for one in judged(run_of(150, lambda step: silent if step > 60 else {})) if one.kind == "no_signal"]
    assert [one.severity for one in found] == ["warn", "hopeless"]
    assert "no reward returned a number for 10 steps" in found[0].sentence


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, None])
def test_a_loss_that_is_no_number_is_hopeless_at_once(loss: float) -> None:
    found = judged(run_of(3, lambda step: {"loss": loss} if step == 3 else {}))
    assert kinds(found) == [("hopeless", "no_number")]
    assert "GRPO_LEARNING_RATE" in found[0].sentence


def test_a_gradient_without_end_is_hopeless_only_when_it_stays() -> None:
    assert judged(run_of(20, lambda step: {"grad_norm": math.inf} if step in (5, 6, 12) else {})) == []
    found = judged(run_of(20, lambda step: {"grad_norm": math.nan} if step > 10 else {}))
    assert (found[0].kind, found[0].step) == ("no_number", 13)


def test_a_gradient_that_blows_up_is_told_and_hopeless_when_nothing_was_learned() -> None:
    grown = lambda step: {"grad_norm": 50.0} if step > 25 else {}  # noqa: E731
    assert kinds(judged(run_of(40, grown))) == [("warn", "gradient")]
    assert kinds(judged(run_of(40, grown, rising=False)))[-1] == ("hopeless", "gradient")


def test_one_large_gradient_is_told_where_the_reward_falls_after_it() -> None:
    jump = {"grad_norm": 500.0}
    assert judged(run_of(40, lambda step: jump if step == 25 else {}, rising=False)) == []
    fallen = judged(run_of(40, lambda step: jump if step == 25 else {"reward": 0.4} if step > 25 else {}))
    assert [(one.severity, one.kind, one.step) for one in fallen] == [("warn", "gradient_jump", 35)]
    assert "since the gradient norm jumped to 5e+02" in fallen[0].sentence
    assert "GRPO_LEARNING_RATE" in fallen[0].sentence


def test_divergence_from_the_base_is_told_and_hopeless_when_nothing_was_learned() -> None:
    far = lambda step: {"kl": 30.0 if step > 10 else 0.01}  # noqa: E731
    assert kinds(judged(run_of(40, far))) == [("warn", "divergence")]
    assert kinds(judged(run_of(40, far, rising=False)))[-1] == ("hopeless", "divergence")
    assert judged(run_of(40, lambda step: {"kl": 1e5 if step % 7 == 0 else 0.1})) == []


def test_entropy_that_falls_with_success_is_nothing_and_without_it_hopeless() -> None:
    fallen = lambda step: {"entropy": 0.0005} if step > 20 else {}  # noqa: E731
    assert judged(run_of(60, fallen)) == []
    assert kinds(judged(run_of(60, fallen, rising=False)))[-1] == ("hopeless", "entropy")


def test_completions_that_are_always_cut_are_hopeless_when_nothing_is_learned() -> None:
    cut = lambda step: {"completions/clipped_ratio": 1.0}  # noqa: E731
    found = judged(run_of(40, cut, rising=False))
    assert [(one.severity, one.kind, one.step) for one in found] == [
        ("warn", "clipped", 10),
        ("hopeless", "clipped", 30),
    ]
    assert "100% of the completions of 10 steps were truncated at GRPO_MAX_COMPLETION_LENGTH=64" in found[0].sentence


def test_completions_that_come_to_be_cut_are_told_with_what_they_were() -> None:
    grown = lambda step: {"completions/clipped_ratio": 0.05 if step < 20 else 1.0}  # noqa: E731
    [found] = judged(run_of(40, grown))
    assert (found.severity, found.kind) == ("warn", "clipped")
    assert "5% were at the start, so add soft_overlong to GRPO_REWARDS if answers do not end" in found.sentence


def test_a_run_has_its_chance_until_well_behind_the_warm_up() -> None:
    warm = SETTINGS.model_copy(update={"warmup_steps": 0.1, "max_steps": 250})
    found = judged(run_of(80, lambda step: {"completions/clipped_ratio": 1.0}, rising=False), warm)
    assert [(one.severity, one.step) for one in found] == [("warn", 10), ("hopeless", 55)]


def test_steps_of_a_warm_start_are_no_chance_to_learn_from_rewards() -> None:
    warm = SETTINGS.model_copy(update={"warm_start_steps": 200})
    cut = lambda step: {"step": 200 + step, "completions/clipped_ratio": 1.0}  # noqa: E731
    found = judged(run_of(99, cut, rising=False), warm)
    assert [(one.severity, one.kind, one.step) for one in found] == [
        ("warn", "clipped", 210),
        ("hopeless", "clipped", 230),
    ]
    assert kinds(judged(run_of(100, cut, rising=False), warm))[2:] == [("warn", "learned_nothing")]


def test_cut_completions_of_a_run_that_learns_are_a_warning() -> None:
    learning = run_of(30, lambda step: {"completions/clipped_ratio": 0.9, "reward": 0.1 * step})
    assert kinds(judged(learning)) == [("warn", "clipped")]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.79])
def test_fewer_cut_completions_are_left_alone(share: float) -> None:
    assert judged(run_of(40, lambda step: {"completions/clipped_ratio": share}, rising=False)) == []


def test_a_reward_that_never_pays_beside_others_that_do_is_told_by_its_name() -> None:
    dead = run_of(120, lambda step: {"rewards/correct/mean": 0.0, "rewards/correct/std": 0.0})
    assert kinds(judged(dead)) == [("warn", "dead_reward_correct")]


@pytest.mark.parametrize("missing", [math.nan, None])
def test_a_reward_that_stops_grading_beside_one_that_rises_is_told_after_the_window(missing: float | None) -> None:
    def gone(step: int) -> dict[str, Any]:
        nothing = {"rewards/format_tags/mean": missing, "rewards/format_tags/std": missing}
        return {"rewards/correct/mean": step / 200} | (nothing if step > 30 else {})

    found = judged(run_of(200, gone))
    assert [(one.severity, one.kind, one.step) for one in found] == [("warn", "silent_reward_format_tags", 40)]
    assert "the reward format_tags has graded no completion for 10 steps" in found[0].sentence


def test_a_reward_that_grades_few_steps_is_not_told() -> None:
    rare = run_of(200, lambda step: {"rewards/format_tags/mean": None} if step % 9 else {})
    assert judged(rare) == []


def test_held_out_accuracy_that_falls_while_the_reward_rises_is_told_then_hopeless() -> None:
    accuracy = {1: 0.6, 20: 0.62, 30: 0.4, 40: 0.3}
    gamed = run_of(45, lambda step: {HELD_OUT: accuracy[step]} if step in accuracy else {})
    found = judged(gamed)
    assert [(finding.severity, finding.kind, finding.step) for finding in found] == [
        ("warn", "gamed_reward", 30),
        ("hopeless", "gamed_reward", 40),
    ]
    assert "from 60.0% to 40.0%" in found[0].sentence


def test_held_out_accuracy_that_only_wavers_is_nothing() -> None:
    wavering = {1: 0.6, 20: 0.57, 30: 0.58}
    assert judged(run_of(40, lambda step: {HELD_OUT: wavering[step]} if step in wavering else {})) == []


@pytest.mark.parametrize(("rows", "told"), [(16, False), (64, True)])
def test_held_out_accuracy_of_fewer_rows_must_fall_further(rows: int, told: bool) -> None:
    accuracy = {1: 0.6, 30: 0.4}
    falling = run_of(40, lambda step: {HELD_OUT: accuracy[step], "eval_rows": rows} if step in accuracy else {})
    assert bool(judged(falling)) is told


def test_only_stop_gives_a_verdict_and_off_does_not_look() -> None:
    verdicts = {}
    for health in ("stop", "warn", "off"):
        watch = Health(SETTINGS.model_copy(update={"health": health}))
        found = [finding for row in run_of(40, lambda step: NO_SPREAD) for finding in watch.update(row)]
        verdicts[health] = (watch.verdict.kind if watch.verdict else None, len(found) > 0)
    assert verdicts == {"stop": ("no_signal", True), "warn": (None, True), "off": (None, False)}


def test_what_an_earlier_attempt_wrote_counts() -> None:
    history = run_of(12, lambda step: NO_SPREAD)
    resumed = Health(SETTINGS, history[:9])
    assert resumed.update(history[9])[0].kind == "no_signal"


def test_a_judge_of_no_rows_finds_nothing() -> None:
    assert judge(SETTINGS, []) == []


def test_a_long_run_is_left_alone_too() -> None:
    assert judged(run_of(1500)) == []
