"""Signs over more steps that a run learns something other than answers, or nothing. Each only warns.

Metrics do not show the answers themselves, so a run with one of these signs may still be good.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, median, pvariance

from grpo_job.evaluation.measure import READS_GOLDS
from grpo_job.monitoring.health.checks import Finding, finding
from grpo_job.monitoring.health.history import REWARDS, History, Row, values
from grpo_job.rewards.custom import short_name

STRETCH = 40  # steps: with 20, two runs that ended at 84 % accuracy had a finding
LEARNED, UNPAID = 0.95, 0.03  # mean of a reward that is learned, and of one that pays nothing
FLAT, FLAT_NOTHING, RISEN = 0.75, 0.85, 0.05  # shares of groups with zero std, and of the maximum reward
CHANCE, ENDS = 100, 20  # steps before which it is too early, and rows compared at either end
JUMP, JUMP_OVER, JUMP_FROM = (
    5,
    0.3,
    20,
)  # times the median of the previous rows, and a norm below which it does not matter


def _format_only(history: History) -> Iterator[Finding]:
    """Every other reward pays in full, and the one for right answers pays nothing."""
    rows = history.over(STRETCH)
    names = [short_name(name) for name, _ in history.settings.rewards]
    right, other = [name for name in names if name in READS_GOLDS], [name for name in names if name not in READS_GOLDS]
    means = {name: values(rows, f"rewards/{name}/mean") for name in names}
    if not right or not other or not all(means.values()):
        return
    recent = {name: values(rows[-len(rows) // 2 :], f"rewards/{name}/mean") for name in right}
    learned = all(fmean(means[name]) >= LEARNED for name in other)
    unpaid = all(max(fmean(means[name]), fmean(recent[name])) < UNPAID for name in right)
    if learned and unpaid:
        said = (
            f"only the format is learned: the mean of {right[0]} is {fmean(means[right[0]]):.2g} over {STRETCH} steps, "
            "that of each other reward almost 1; check in completions.jsonl whether the answers still differ, then "
            "use easier rows or a larger model"
        )
        yield finding("warn", "format_only", history, said)


def _seen(history: History, rows: Sequence[Row]) -> float:
    """The maximum reward of a completion, without rewards that paid nothing in these rows.

    Several rewards for right answers are one goal in several places: if one of them pays, the unpaid others do not
    count; if none does, all of them count.
    """
    means = {name: values(rows, f"rewards/{name}/mean") for name in history.pays}
    right = [name for name in means if name in READS_GOLDS]
    learned = [name for name in right if means[name] and fmean(means[name]) >= UNPAID]
    unpaid = [name for name, found in means.items() if name not in right and found and not any(found)]
    left_out = {*unpaid, *(name for name in right if learned and name not in learned)}
    return sum(pays for name, pays in history.pays.items() if name not in left_out)


def _flat(history: History) -> Iterator[Finding]:
    """After the reward has risen, most groups have zero reward std far below the most that was seen to be paid."""
    rows = history.over(STRETCH)
    flat, rewards = values(rows, "frac_reward_zero_std"), values(rows, "reward")
    began = values(history.rows[:REWARDS], "reward")
    if not flat or not rewards or not began:
        return
    risen, most = fmean(rewards) - fmean(began) >= RISEN * history.most, _seen(history, rows)
    if fmean(flat) >= FLAT and fmean(rewards) <= most / 2 and risen:
        said = (
            f"{fmean(flat):.0%} of the groups of {STRETCH} steps had zero reward std at a mean reward of "
            f"{fmean(rewards):.3g} of {most:.3g}: check in completions.jsonl whether the answers still differ; "
            "use a smaller GRPO_LEARNING_RATE, a higher GRPO_TEMPERATURE or easier rows"
        )
        yield finding("warn", "flat", history, said)


def _learned_nothing(history: History) -> Iterator[Finding]:
    """The reward is where it began, and almost no group has a signal."""
    flat = values(history.over(STRETCH), "frac_reward_zero_std")
    began, now = values(history.rows[:ENDS], "reward"), values(history.rows[-ENDS:], "reward")
    if history.last["step"] < CHANCE or not flat or len(now) < ENDS or fmean(flat) < FLAT_NOTHING:
        return
    error = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
    if fmean(now) < fmean(began) + 2 * error:
        said = (
            f"nothing has been learned: the mean reward is {fmean(now):.2g}, it began at {fmean(began):.2g}, and "
            f"{fmean(flat):.0%} of the groups had zero reward std; use a larger GRPO_LEARNING_RATE or "
            "GRPO_NUM_GENERATIONS, or easier rows"
        )
        yield finding("warn", "learned_nothing", history, said)


def _gradient_jump(history: History) -> Iterator[Finding]:
    """One step whose gradient norm is far above the previous ones; a later drop may come from it."""
    before, now = values(history.rows[-JUMP_FROM - 1 : -1], "grad_norm"), values(history.rows[-1:], "grad_norm")
    if len(before) < JUMP_FROM or not now:
        return
    usual = median(before)
    if now[0] > JUMP * usual and now[0] > JUMP_OVER:
        said = (
            f"the gradient norm jumped to {now[0]:.2g} from a median of {usual:.2g} over {JUMP_FROM} steps; "
            "if the reward falls after it, use a smaller GRPO_LEARNING_RATE"
        )
        yield finding("warn", "gradient_jump", history, said)


SIGNS: tuple[Callable[[History], Iterator[Finding]], ...] = (_format_only, _flat, _learned_nothing, _gradient_jump)
