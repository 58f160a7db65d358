"""Signs over a longer stretch that a run learns something else than answers, or nothing. Each only warns.

Metrics do not see what the answers are: a run of which one of these is said may still be a good one.
"""

import math
from collections.abc import Callable, Iterator
from statistics import fmean, median, pvariance

from grpo_job.evaluation.measure import READS_GOLDS
from grpo_job.monitoring.health.checks import Finding, finding
from grpo_job.monitoring.health.history import REWARDS, History, values
from grpo_job.rewards.custom import short_name

STRETCH = 40  # steps: over 20, two runs that end at 84 % right were taken for bad ones
LEARNED, UNPAID = 0.95, 0.03  # means of a reward that is learned, and of one that pays nothing
FLAT, FLAT_NOTHING, RISEN = 0.75, 0.85, 0.05  # shares of groups without spread, and of the most that is paid
CHANCE, ENDS = 100, 20  # steps before a run can have learned nothing, and rows compared at either end
JUMP, JUMP_OVER, JUMP_FROM = 5, 0.3, 20  # times the median of the rows before, and a norm that is small anyway


def _format_only(history: History) -> Iterator[Finding]:
    """Every other reward is paid in full, and the one for right answers pays nothing."""
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
            f"only the format is learned: {right[0]} paid {fmean(means[right[0]]):.2g} on average over {STRETCH} steps"
            ", all other rewards nearly all they can; look in completions.jsonl whether the answers still differ, "
            "then take easier rows or a larger model"
        )
        yield finding("warn", "format_only", history, said)


def _flat(history: History) -> Iterator[Finding]:
    """Most groups are paid alike, far from the most that can be earned, after the reward has risen."""
    rows = history.over(STRETCH)
    flat, rewards = values(rows, "frac_reward_zero_std"), values(rows, "reward")
    began = values(history.rows[:REWARDS], "reward")
    if not flat or not rewards or not began:
        return
    risen = fmean(rewards) - fmean(began) >= RISEN * history.most
    if fmean(flat) >= FLAT and fmean(rewards) <= history.most / 2 and risen:
        said = (
            f"{fmean(flat):.0%} of the groups of {STRETCH} steps were paid alike, at a mean reward of "
            f"{fmean(rewards):.3g} of {history.most:.3g}: look in completions.jsonl whether the answers still differ; "
            "use a smaller GRPO_LEARNING_RATE, a higher GRPO_TEMPERATURE or easier rows"
        )
        yield finding("warn", "flat", history, said)


def _learned_nothing(history: History) -> Iterator[Finding]:
    """The reward is where it began, and hardly any group has spread to learn from."""
    flat = values(history.over(STRETCH), "frac_reward_zero_std")
    began, now = values(history.rows[:ENDS], "reward"), values(history.rows[-ENDS:], "reward")
    if history.last["step"] < CHANCE or not flat or len(now) < ENDS or fmean(flat) < FLAT_NOTHING:
        return
    error = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
    if fmean(now) < fmean(began) + 2 * error:
        said = (
            f"nothing has been learned: the mean reward is {fmean(now):.2g}, it was {fmean(began):.2g}, and "
            f"{fmean(flat):.0%} of the groups were paid alike; use a larger GRPO_LEARNING_RATE or "
            "GRPO_NUM_GENERATIONS, or easier rows"
        )
        yield finding("warn", "learned_nothing", history, said)


def _gradient_jump(history: History) -> Iterator[Finding]:
    """One step whose gradient is far above those before it: what falls after it fell because of it."""
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
