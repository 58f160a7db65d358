"""Signs over more steps that a run learns something other than answers, or nothing. Each only warns.

Metrics do not show the answers themselves, so a run with one of these signs may still be good.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, median

from grpo_job.evaluation.measure import READS_GOLDS
from grpo_job.monitoring.health.checks import NEAR_THE_MOST, Finding, finding
from grpo_job.monitoring.health.history import REWARDS, History, Row, values
from grpo_job.rewards.custom import short_name

STRETCH = 40  # steps: with 20, two runs that ended at 84 % accuracy had a finding
LEARNED, UNPAID = 0.95, 0.03  # mean of a reward that is learned, and of one that pays nothing
FLAT, FEW = 0.75, 0.5  # share of groups with zero std, and of right answers and the maximum reward
RISEN, NOT_RISEN = 0.05, 0.005  # of the maximum reward
CHANCE, ENDS = 100, 20  # steps before which it is too early, and rows compared at either end
JUMP, JUMP_OVER, JUMP_FROM = 5, 0.3, 20  # times the median of the previous rows, and a norm that does not matter
FALL = 10  # rows on either side of a jump


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


def _flat(history: History) -> Iterator[Finding]:
    """After the reward has risen, most groups have zero reward std though few answers are right."""
    rows = history.over(STRETCH)
    flat, rewards = values(rows, "frac_reward_zero_std"), values(rows, "reward")
    began = values(history.rows[:REWARDS], "reward")
    if not flat or not rewards or not began:
        return
    risen = fmean(rewards) - fmean(began) >= RISEN * history.most
    few = max(fmean(rewards) / history.most, _share_right(history, rows)) <= FEW
    if fmean(flat) >= FLAT and risen and few:
        said = (
            f"{fmean(flat):.0%} of the groups of {STRETCH} steps had zero reward std at a mean reward of "
            f"{fmean(rewards):.3g} of {history.most:.3g}: check in completions.jsonl whether the answers still differ; "
            "use a smaller GRPO_LEARNING_RATE, a higher GRPO_TEMPERATURE or easier rows"
        )
        yield finding("warn", "flat", history, said)


def _share_right(history: History, rows: Sequence[Row]) -> float:
    """What the best paid of the rewards that read right answers pays; 0 where there is none."""
    names = [short_name(name) for name, _ in history.settings.rewards]
    right = [values(rows, f"rewards/{name}/mean") for name in names if name in READS_GOLDS]
    return max((fmean(means) for means in right if means), default=0.0)


def _learned_nothing(history: History) -> Iterator[Finding]:
    """The reward is where it began, and that is not near the maximum."""
    began, now = values(history.rows[:ENDS], "reward"), values(history.rows[-ENDS:], "reward")
    if history.done < CHANCE or len(now) < ENDS or fmean(now) >= NEAR_THE_MOST * history.most:
        return
    if fmean(now) < fmean(began) + NOT_RISEN * history.most:
        said = (
            f"nothing has been learned: the mean reward is {fmean(now):.2g} of {history.most:.3g}, it began at "
            f"{fmean(began):.2g}; use a larger GRPO_LEARNING_RATE or GRPO_NUM_GENERATIONS, or easier rows"
        )
        yield finding("warn", "learned_nothing", history, said)


def _gradient_jump(history: History) -> Iterator[Finding]:
    """The reward has fallen since one step whose gradient norm was far above those before it."""
    before, after = history.rows[-2 * FALL - 1 : -FALL - 1], history.rows[-FALL:]
    jump, usual = history.rows[-FALL - 1 : -FALL], values(history.rows[: -FALL - 1][-JUMP_FROM:], "grad_norm")
    norm, was, now = values(jump, "grad_norm"), values(before, "reward"), values(after, "reward")
    if len(usual) < JUMP_FROM or not norm or not was or not now:
        return
    if norm[0] > JUMP * median(usual) and norm[0] > JUMP_OVER and fmean(now) < fmean(was) - RISEN * history.most:
        said = (
            f"the mean reward has fallen from {fmean(was):.3g} to {fmean(now):.3g} since the gradient norm jumped to "
            f"{norm[0]:.2g} from a median of {median(usual):.2g}, {FALL} steps ago: use a smaller GRPO_LEARNING_RATE"
        )
        yield finding("warn", "gradient_jump", history, said)


SIGNS: tuple[Callable[[History], Iterator[Finding]], ...] = (_format_only, _flat, _learned_nothing, _gradient_jump)
