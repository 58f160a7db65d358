"""Is this run still worth its money: judges the history of its metrics. Pure; saves, stops and says nothing itself.

A history is the rows of `metrics.jsonl`. A sign has a threshold, which is a setting, and must last for
some steps, so that one odd batch ends nothing. Most signs alone are a warning: a run whose reward rises
goes on. Hopeless is one with a bad sign whose reward is no better than it began, well behind the
warm-up; one that has no signal; and one whose numbers are none any more.

Why the thresholds are what they are:
- 64 groups without spread, for at least 10 steps: where one group in fourteen has spread, which still
  teaches something, as many in a row without are a chance of one in a hundred. A share of steps would not do,
  for a step holds one group in the reference run and eight in the sample's.
- 80 % of completions cut: most gradients then come from unfinished thoughts, and no answer is reached.
- 10 nats a token from the base: its text is a millionth as likely to the base as its own, it speaks gibberish.
- 100 times the first gradient norms: healthy runs of the sample reach 12 times theirs.
- 5 % of the first entropy: healthy runs of the sample fall to 20 %. What has no entropy explores nothing.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean, median, pvariance
from typing import Any, Literal, NamedTuple

from grpo_job.settings import Settings

Row = Mapping[str, Any]
Severity = Literal["warn", "hopeless"]

BEGINNING = 5  # rows that say where a run began
REWARDS = 10  # rows at either end whose rewards are compared, at least: one step's reward is mostly chance
CHANCE = 3  # times GRPO_HEALTH_STEPS behind the warm-up: before, no run can be told to have learned nothing
SHORT = 5  # rows whose median is not moved by one odd batch
NO_BETTER = 0.01  # of the beginning: a reward that rose by less has not risen, whatever its noise
OVERFLOWS = 3  # gradients without end in a row: float16 has a few while its scale is found
STANDARD_ERRORS = 2.0
HELD_OUT = "eval_accuracy"  # of an evaluation while training, where GRPO_EVAL_STEPS asks for them


class Finding(NamedTuple):
    """`kind` is one word for machines; the sentence has the number and the usual cure."""

    severity: Severity
    kind: str
    step: int
    sentence: str


class HealthJudge:
    """Reads the thresholds of one run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.groups_per_step = max(1.0, settings.completions_per_step / settings.num_generations)
        warmup = settings.warmup_steps
        self.chance = CHANCE * settings.health_steps + (warmup if warmup >= 1 else warmup * max(0, settings.max_steps))

    def judge(self, history: Sequence[Row]) -> list[Finding]:
        """What is wrong as of the last row, the hopeless first; nothing when GRPO_HEALTH=off."""
        if not history or self.settings.health == "off":
            return []
        found = [finding for check in CHECKS for finding in check(self, history)]
        return sorted(found, key=lambda finding: finding.severity != "hopeless")

    def window(self, history: Sequence[Row], groups: float = 0) -> Sequence[Row]:
        """The last rows: as many as hold the steps, and the groups, that a sign must last. Empty: not so many yet."""
        steps = max(self.settings.health_steps, groups / self.groups_per_step)
        first = int(history[-1]["step"]) - math.ceil(steps)
        rows = [row for row in history[-math.ceil(steps) :] if row["step"] > first]
        earliest = history[0]["step"] - self.settings.logging_steps  # the first row tells of these steps too
        return rows if earliest <= first else []

    def no_better(self, history: Sequence[Row]) -> bool:
        """Whether the reward is where it began or below, as far as its noise from step to step lets one tell."""
        rows = max(REWARDS, len(history) // 4)
        began, now = _values(history[:rows], "reward"), _values(history[-rows:], "reward")
        if not began or not now:
            return True
        noise = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
        return fmean(now) <= fmean(began) + noise + NO_BETTER * abs(fmean(began))

    def severity(self, history: Sequence[Row]) -> Severity:
        """Of a bad sign: hopeless once the run had its chance to learn in spite of it, and did not."""
        had_its_chance = history[-1]["step"] >= self.chance and len(history) >= 2 * REWARDS
        return "hopeless" if had_its_chance and self.no_better(history) else "warn"


class Health:
    """The judge beside one run: what is found is told once, and once more where it has become hopeless."""

    def __init__(self, settings: Settings, history: Sequence[Row] = ()) -> None:
        """`history`: the rows of earlier attempts."""
        self.settings, self.judge, self.history = settings, HealthJudge(settings), list(history)
        self.found: list[Finding] = []
        self.verdict: Finding | None = None  # what ends the run; never set unless GRPO_HEALTH=stop

    def heed(self, row: Row) -> list[Finding]:
        """One more row; answers what is new."""
        self.history.append(row)
        known = {(finding.kind, finding.severity) for finding in self.found}
        new = [
            one
            for one in self.judge.judge(self.history)
            if not known & {(one.kind, one.severity), (one.kind, "hopeless")}
        ]
        self.found += new
        if self.settings.health == "stop" and self.verdict is None:
            self.verdict = next((one for one in new if one.severity == "hopeless"), None)
        return new


def _no_number(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    """A loss that is no number has made the weights so."""
    last = history[-1]
    cure = "use a smaller GRPO_LEARNING_RATE, a smaller GRPO_MAX_GRAD_NORM, or bfloat16 in place of float16"
    gradients = [row.get("grad_norm", 0.0) for row in history[-OVERFLOWS:]]
    if not _finite(last.get("loss", 0.0)):
        yield _finding("hopeless", "no_number", history, f"the loss is {last['loss']}: {cure}")
    elif len(gradients) == OVERFLOWS and not any(map(_finite, gradients)):
        said = f"the gradient norm has been {gradients[-1]} for {OVERFLOWS} steps: {cure}"
        yield _finding("hopeless", "no_number", history, said)


def _no_signal(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    """Groups whose completions are all paid alike give no gradient."""
    rows = judge.window(history, judge.settings.health_groups)
    if not rows or any(_has_signal(row) for row in rows):
        return
    steps, reward = _steps(rows, judge), fmean(_values(rows, "reward") or [0.0])
    cut = fmean(_values(rows, "completions/clipped_ratio") or [0.0])
    if judge.no_better(history):
        said = (
            f"no group of completions had any spread of rewards for {steps} steps (mean reward {reward:.3g}, "
            f"{cut:.0%} cut at GRPO_MAX_COMPLETION_LENGTH), so nothing is learned: look at completions.jsonl, then at "
            "GRPO_REWARDS and GRPO_SYSTEM_PROMPT; take a larger model or easier rows, or raise GRPO_NUM_GENERATIONS"
        )
        yield _finding("hopeless", "no_signal", history, said)
    else:
        said = (
            f"every completion earned the same for {steps} steps (mean reward {reward:.3g}, more than at the start): "
            "there is nothing left to learn from these rows; fewer GRPO_MAX_STEPS or harder rows save money"
        )
        yield _finding("warn", "all_solved", history, said)


def _one_reward_is_dead(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    """Among several rewards, one that never paid anything."""
    rows = judge.window(history, judge.settings.health_groups)
    names = [key.split("/")[1] for key in (rows[-1] if rows else {}) if key.startswith("rewards/") and "/mean" in key]
    dead = [name for name in names if not any(_paid(row, name) for row in rows)]
    for name in dead if len(dead) < len(names) else []:  # all of them are `_no_signal`
        said = (
            f"the reward {name} has paid 0 to every completion for {_steps(rows, judge)} steps: look at "
            "completions.jsonl for answers that it should have paid"
        )
        yield _finding("warn", f"dead_reward_{name}", history, said)


def _gradient(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    """Long clipped, a gradient that keeps growing says that the policy has left where its gradients mean something."""
    recent = history[-SHORT:]
    first = [value for value in _values(history[: 2 * BEGINNING], "grad_norm") if value > 0]
    if len(history) < 2 * BEGINNING + SHORT or not first:
        return
    now, began = median(_values(recent, "grad_norm") or [0.0]), median(first)
    limit = judge.settings.health_gradient_factor * began
    if now > limit and now > judge.settings.max_grad_norm:
        said = f"the gradient norm is {now:.3g}, {now / began:.0f} times the first: use a smaller GRPO_LEARNING_RATE"
        yield _finding(judge.severity(history), "gradient", history, said)


def _divergence(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    recent = history[-SHORT:]
    values = _values(recent, "kl")
    if len(values) < SHORT or median(values) <= judge.settings.health_max_kl:
        return
    said = (
        f"the divergence from the base is {median(values):.3g} nats a token: use a smaller GRPO_LEARNING_RATE "
        "or a larger GRPO_BETA"
    )
    yield _finding(judge.severity(history), "divergence", history, said)


def _entropy(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    rows = judge.window(history)
    began, now = _values(history[:BEGINNING], "entropy"), _values(rows, "entropy")
    if not began or not now or len(history) < BEGINNING + len(rows):
        return
    if fmean(now) >= judge.settings.health_entropy_share * fmean(began):
        return
    said = (
        f"the entropy has fallen from {fmean(began):.3g} to {fmean(now):.2g}, so completions hardly differ: use a "
        "smaller GRPO_LEARNING_RATE, a higher GRPO_TEMPERATURE, or GRPO_EPSILON_HIGH=0.28"
    )
    yield _finding(judge.severity(history), "entropy", history, said)


def _clipped(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    rows = judge.window(history)
    shares = _values(rows, "completions/clipped_ratio")
    if not shares or fmean(shares) <= judge.settings.health_clipped_share:
        return
    said = (
        f"{fmean(shares):.0%} of the completions of {_steps(rows, judge)} steps were cut at "
        f"GRPO_MAX_COMPLETION_LENGTH={judge.settings.max_completion_length}: raise it, ask for shorter answers in "
        "GRPO_SYSTEM_PROMPT, or look in completions.jsonl whether they end at all"
    )
    yield _finding(judge.severity(history), "clipped", history, said)


def _reward_is_gamed(judge: HealthJudge, history: Sequence[Row]) -> Iterator[Finding]:
    """The reward rises while held-out accuracy falls: it is earned without better answers."""
    measured = _values(history, HELD_OUT)
    if len(measured) < 2 or judge.no_better(history):
        return
    began, rows = measured[0], judge.settings.eval_steps_rows
    error = math.sqrt(max(began * (1 - began), 1 / rows) / rows)
    fallen = [value < began - STANDARD_ERRORS * error for value in measured[1:]]
    if not fallen[-1]:
        return
    said = (
        f"held-out accuracy has fallen from {began:.1%} to {measured[-1]:.1%} while the reward rose: it pays for "
        "something else than right answers, see completions.jsonl and mend GRPO_REWARDS"
    )
    severity: Severity = "hopeless" if fallen[-2:] == [True, True] else "warn"
    yield _finding(severity, "gamed_reward", history, said)


CHECKS: tuple[Callable[[HealthJudge, Sequence[Row]], Iterator[Finding]], ...] = (
    _no_number,
    _no_signal,
    _one_reward_is_dead,
    _gradient,
    _divergence,
    _entropy,
    _clipped,
    _reward_is_gamed,
)


def _finding(severity: Severity, kind: str, history: Sequence[Row], sentence: str) -> Finding:
    return Finding(severity, kind, int(history[-1]["step"]), f"at step {history[-1]['step']} {sentence}")


def _paid(row: Row, reward: str) -> bool:
    return bool(row.get(f"rewards/{reward}/mean") or row.get(f"rewards/{reward}/std"))


def _has_signal(row: Row) -> bool:
    """Any group with spread. Where the trainer does not tell the share of groups without, their spread tells it."""
    flat = row.get("frac_reward_zero_std")
    spread = (row.get("reward_std") or 0.0) > 0 if flat is None else flat < 1
    return spread and _finite(row.get("reward", 0.0))


def _steps(rows: Sequence[Row], judge: HealthJudge) -> int:
    return int(rows[-1]["step"] - rows[0]["step"]) + judge.settings.logging_steps


def _values(rows: Sequence[Row], key: str) -> list[float]:
    """The finite numbers under `key`."""
    return [float(row[key]) for row in rows if _finite(row.get(key))]


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
