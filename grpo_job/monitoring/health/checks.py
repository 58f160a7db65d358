"""The warning signs in a run's metrics, one function each: a finding has the number and the usual fix."""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, median
from typing import Literal, NamedTuple

from grpo_job.monitoring.health.history import HELD_OUT, HELD_OUT_ROWS, History, Row, finite, values

Severity = Literal["warn", "hopeless"]

BEGINNING = 5  # rows that show where a run began
SHORT = 5  # rows whose median one odd batch does not move
NEAR_THE_MOST = 0.9  # of the maximum reward: below it, groups with zero std are not solved
SILENT = 4  # times GRPO_HEALTH_STEPS without a signal that end a run: runs that learn are silent for up to 25 steps
DEAD = 10  # times GRPO_HEALTH_STEPS without pay: the last reward to be learned takes longest
OVERFLOWS = 3  # infinite gradients in a row: float16 has a few while its loss scale adapts
STANDARD_ERRORS = 2.0


class Finding(NamedTuple):
    """`kind` is one word for machines; the sentence has the number and the usual fix."""

    severity: Severity
    kind: str
    step: int
    sentence: str


def _no_number(history: History) -> Iterator[Finding]:
    """A loss that is not a number has made the weights so too."""
    last = history.last
    cure = "use a smaller GRPO_LEARNING_RATE, a smaller GRPO_MAX_GRAD_NORM, or bfloat16 instead of float16"
    gradients = [row.get("grad_norm", 0.0) for row in history.rows[-OVERFLOWS:]]
    if not finite(last.get("loss", 0.0)):
        yield finding("hopeless", "no_number", history, f"the loss is {last['loss']}: {cure}")
    elif len(gradients) == OVERFLOWS and not any(map(finite, gradients)):
        said = f"the gradient norm has been {gradients[-1]} for {OVERFLOWS} steps: {cure}"
        yield finding("hopeless", "no_number", history, said)


def _no_signal(history: History) -> Iterator[Finding]:
    """Groups whose completions all earn the same give no gradient."""
    groups = history.settings.health_groups
    short, long = history.window(groups), history.window(groups, SILENT)
    if not short or any(map(_has_signal, short)):
        return
    lasting = bool(long) and not any(map(_has_signal, long))
    rows = long if lasting else short
    steps, paid = history.steps_of(rows), values(rows, "reward")
    reward = fmean(paid or [0.0])
    cut = fmean(values(rows, "completions/clipped_ratio") or [0.0])
    if not paid:
        said = (
            f"no reward returned a number for {steps} steps, so nothing is learned: look at completions.jsonl and "
            "check GRPO_REWARDS, and the service if one judges"
        )
        yield finding("hopeless" if lasting else "warn", "no_signal", history, said)
    elif history.no_better():
        said = (
            f"every group of completions had zero reward std for {steps} steps (mean reward {reward:.3g}, "
            f"{cut:.0%} truncated at GRPO_MAX_COMPLETION_LENGTH), so nothing is learned: look at completions.jsonl, "
            "check GRPO_REWARDS and GRPO_SYSTEM_PROMPT, use a larger model or easier rows, or raise "
            "GRPO_NUM_GENERATIONS"
        )
        yield finding("hopeless" if lasting else "warn", "no_signal", history, said)
    elif reward >= NEAR_THE_MOST * history.most:
        said = (
            f"every completion got the same reward for {steps} steps (mean reward {reward:.3g} of {history.most:.3g}): "
            "nothing is left to learn from these rows; use fewer GRPO_MAX_STEPS or harder rows"
        )
        yield finding("warn", "all_solved", history, said)


def _one_reward_is_dead(history: History) -> Iterator[Finding]:
    """One of several rewards never paid anything while no other rises: rewards are learned one after another."""
    rows = history.over(DEAD * history.settings.health_steps)
    names = _rewards_of(rows)
    dead = [name for name in names if not any(_paid(row, name) for row in rows)]
    if len(dead) == len(names) or any(history.climbs(f"rewards/{name}/mean") for name in names):
        return  # all of them are `_no_signal`
    for name in dead:
        said = (
            f"the reward {name} has paid 0 to every completion for {history.steps_of(rows)} steps: look at "
            "completions.jsonl for answers that should have earned it"
        )
        yield finding("warn", f"dead_reward_{name}", history, said)


def _one_reward_is_silent(history: History) -> Iterator[Finding]:
    """One of several rewards returns None for all, as where its service is gone; the others rise all the same."""
    rows = history.window(history.settings.health_groups)
    names = _rewards_of(rows)
    silent = [name for name in names if not values(rows, f"rewards/{name}/mean")]
    if len(silent) == len(names):
        return  # all of them are `_no_signal`
    for name in silent:
        said = (
            f"the reward {name} has graded no completion for {history.steps_of(rows)} steps, so nothing is learned "
            "from it: check it, and the service if it asks one"
        )
        yield finding("warn", f"silent_reward_{name}", history, said)


def _gradient(history: History) -> Iterator[Finding]:
    """A gradient norm that keeps growing, though it is clipped, means that training diverges."""
    recent = history.rows[-SHORT:]
    first = [value for value in values(history.rows[: 2 * BEGINNING], "grad_norm") if value > 0]
    if len(history.rows) < 2 * BEGINNING + SHORT or not first:
        return
    now, began = median(values(recent, "grad_norm") or [0.0]), median(first)
    limit = history.settings.health_gradient_factor * began
    if now > limit and now > history.settings.max_grad_norm:
        said = (
            f"the gradient norm is {now:.3g}, {now / began:.0f} times the first ones: use a smaller GRPO_LEARNING_RATE"
        )
        yield finding(_severity(history), "gradient", history, said)


def _divergence(history: History) -> Iterator[Finding]:
    recent = history.rows[-SHORT:]
    divergences = values(recent, "kl")
    if len(divergences) < SHORT or median(divergences) <= history.settings.health_max_kl:
        return
    said = (
        f"the KL divergence from the {history.settings.beginning} is {median(divergences):.3g} nats per token: use a "
        "smaller GRPO_LEARNING_RATE or a larger GRPO_BETA"
    )
    yield finding(_severity(history), "divergence", history, said)


def _entropy(history: History) -> Iterator[Finding]:
    """Only for a run that is no better, because a good one also ends with almost no entropy."""
    rows = history.window()
    began, now = values(history.rows[:BEGINNING], "entropy"), values(rows, "entropy")
    if not began or not now or len(history.rows) < BEGINNING + len(rows):
        return
    if fmean(now) >= history.settings.health_entropy_share * fmean(began) or not history.no_better():
        return
    said = (
        f"the entropy has fallen from {fmean(began):.3g} to {fmean(now):.2g}, so completions barely differ: use a "
        "smaller GRPO_LEARNING_RATE, a higher GRPO_TEMPERATURE, or GRPO_EPSILON_HIGH=0.28"
    )
    yield finding(_severity(history), "entropy", history, said)


def _clipped(history: History) -> Iterator[Finding]:
    rows = history.window()
    shares = values(rows, "completions/clipped_ratio")
    if not shares or fmean(shares) <= history.settings.health_clipped_share:
        return
    began = fmean(values(history.rows[:1], "completions/clipped_ratio") or [0.0])  # of the base
    cure = (
        "raise it, ask for shorter answers in GRPO_SYSTEM_PROMPT, or check in completions.jsonl whether they end at all"
        if began > history.settings.health_clipped_share / 2
        else f"{began:.0%} were at the start, so add soft_overlong to GRPO_REWARDS if answers do not end, use a "
        "smaller GRPO_LEARNING_RATE, or raise the limit if answers need it"
    )
    said = (
        f"{fmean(shares):.0%} of the completions of {history.steps_of(rows)} steps were truncated at "
        f"GRPO_MAX_COMPLETION_LENGTH={history.settings.max_completion_length}: {cure}"
    )
    yield finding(_severity(history), "clipped", history, said)


def _reward_is_gamed(history: History) -> Iterator[Finding]:
    """The reward rises while held-out accuracy falls."""
    measured = values(history.rows, HELD_OUT)
    if len(measured) < 2 or history.no_better():
        return
    began, rows = measured[0], (values(history.rows, HELD_OUT_ROWS) or [history.settings.eval_steps_rows])[-1]
    error = math.sqrt(max(began * (1 - began), 1 / rows) / rows)
    fallen = [value < began - STANDARD_ERRORS * error for value in measured[1:]]
    if not fallen[-1]:
        return
    said = (
        f"held-out accuracy has fallen from {began:.1%} to {measured[-1]:.1%} while the reward rose: it pays for "
        "something other than right answers; look at completions.jsonl and fix GRPO_REWARDS"
    )
    severity: Severity = "hopeless" if fallen[-2:] == [True, True] else "warn"
    yield finding(severity, "gamed_reward", history, said)


SIGNS: tuple[Callable[[History], Iterator[Finding]], ...] = (
    _no_number,
    _no_signal,
    _one_reward_is_dead,
    _one_reward_is_silent,
    _gradient,
    _divergence,
    _entropy,
    _clipped,
    _reward_is_gamed,
)


def _severity(history: History) -> Severity:
    """A bad sign is hopeless once the run had its chance to learn and did not."""
    return "hopeless" if history.learned_nothing() else "warn"


def finding(severity: Severity, kind: str, history: History, sentence: str) -> Finding:
    """A finding about the last step of `history`."""
    step = int(history.last["step"])
    return Finding(severity, kind, step, f"at step {step} {sentence}")


def _rewards_of(rows: Sequence[Row]) -> list[str]:
    """The names of the rewards in the last of the rows."""
    return [key.split("/")[1] for key in (rows[-1] if rows else {}) if key.startswith("rewards/") and "/mean" in key]


def _paid(row: Row, reward: str) -> bool:
    """Also where it graded none, which is no pay of 0."""
    mean = row.get(f"rewards/{reward}/mean")
    return not finite(mean) or bool(mean or row.get(f"rewards/{reward}/std"))


def _has_signal(row: Row) -> bool:
    """Whether any group has a non-zero reward std."""
    flat = row.get("frac_reward_zero_std")
    spread = (row.get("reward_std") or 0.0) > 0 if flat is None else flat < 1
    return spread and finite(row.get("reward", 0.0))
