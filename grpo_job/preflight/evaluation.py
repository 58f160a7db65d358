"""Checks the evaluation: rows to choose by, what measuring costs, and the smallest change that it can show."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from grpo_job.evaluation import drawing
from grpo_job.evaluation.measure import Measure, choose
from grpo_job.evaluation.notes import counted
from grpo_job.evaluation.statistics import ASSUMED_CHURN, LEAST_PAIRS, smallest_visible_change, wilson
from grpo_job.inputs.dataset import Rows
from grpo_job.outcomes import InvalidRun
from grpo_job.preflight.estimate import Estimate, evaluations, told_time
from grpo_job.preflight.findings import Finding
from grpo_job.rewards import Reward, custom
from grpo_job.settings.schema import Settings

ROWS_TRIED = 10_000  # of GRPO_EVAL_STEPS_ROWS, to say how many a goal needs


def set_apart(rows: Rows, settings: Settings) -> tuple[Rows, list[dict[str, Any]]]:
    """The rows, and the training rows that GRPO_EVAL_STEPS evaluates on instead of training on them.

    Raises `InvalidRun` if too few are left to train on.
    """
    if settings.eval_steps is None:
        return rows, []
    train, choosing = drawing.set_apart(rows.train, settings.eval_steps_rows, settings.seed)
    needed = settings.prompts_per_generation
    if len(train) < needed:
        raise InvalidRun(
            f"GRPO_EVAL_STEPS: {settings.eval_steps} was given; it takes {len(choosing)} of {len(rows.train)} training "
            f"rows to evaluate on, and one generation needs {needed} different prompts of the others; allowed: "
            "more rows, a smaller GRPO_PER_DEVICE_TRAIN_BATCH_SIZE, or GRPO_EVAL_STEPS=none"
        )
    counts = replace(rows.train_counts, kept=len(train), set_apart=len(choosing))
    return rows._replace(train=train, train_counts=counts), choosing


def measure_of(settings: Settings, chosen: Sequence[Reward], rows: Sequence[dict[str, Any]]) -> Measure:
    """What this run is judged by; see `evaluation.measure.choose`."""
    weights = [(reward.name, reward.weight) for reward in chosen]
    return choose(custom.short_name(settings.measure), weights, golds=any(row["answer"].strip() for row in rows))


def findings(
    rows: Rows, choosing: Sequence[dict[str, Any]], settings: Settings, guess: Estimate | None, measure: Measure
) -> Iterator[Finding]:
    """What evaluation takes, and what it can show. Raises `InvalidRun` for a goal above every share."""
    seen = 100 * smallest_visible_change(ASSUMED_CHURN, len(rows.held_out))
    takes = f", about {_cost(guess.evaluation, settings)} before training and again after it" if guess else ""
    shows = f"a change of about {seen:.1f} points or more can be seen if {ASSUMED_CHURN:.0%} of the answers change"
    if len(rows.held_out) < LEAST_PAIRS:
        shows = f"too few for a verdict, which needs {LEAST_PAIRS}"
    yield Finding("passed", "evaluation", f"{counted(len(rows.held_out), 'held-out row')}{takes}; {shows}")
    if not choosing:
        return
    takes = f", about {_cost(guess.periodic, settings)} in all" if guess else ""
    number = f"; {evaluations(settings, guess.steps)} evaluations" if guess else ""
    said = f"{len(choosing)} training rows are set apart to choose by and not trained on{number}{takes}"
    yield Finding("passed", "rows to choose by", said)
    if measure.reads_answers and (message := _goal_out_of_reach(len(choosing), settings)):
        yield Finding("warned", "rows to choose by", message)


def _cost(seconds: float, settings: Settings) -> str:
    """Seconds, and US dollars with a price."""
    price = settings.price_per_hour
    return told_time(seconds) + ("" if price is None else f" ({seconds / 3600 * price:.2f} US dollars)")


def _goal_out_of_reach(rows: int, settings: Settings) -> str | None:
    """A goal that is above the lower end of the interval even if all rows are right."""
    goal = settings.stop_at_accuracy
    if goal is not None and goal > 1:
        raise InvalidRun(
            f"GRPO_STOP_AT_ACCURACY: {goal:g} was given; the measure is a share of right answers; allowed: a number "
            "above 0, at most 1"
        )
    if goal is None or wilson(rows, rows)[0] >= goal:
        return None
    enough = next((number for number in range(rows, ROWS_TRIED) if wilson(number, number)[0] >= goal), None)
    cure = f"set GRPO_EVAL_STEPS_ROWS={enough} or more, or a lower goal" if enough else "set a lower goal"
    return (
        f"GRPO_STOP_AT_ACCURACY={goal:g} cannot be reached on {rows} rows: with all of them right the lower end of the "
        f"95% interval is {wilson(rows, rows)[0]:.3g}; {cure}"
    )
