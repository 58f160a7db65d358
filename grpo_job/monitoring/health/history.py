"""Reads the rows of `metrics.jsonl`: what lasted, what rose, and whether a run had its chance to learn."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pvariance
from typing import Any, NamedTuple

from grpo_job.settings.schema import Settings

Row = Mapping[str, Any]

REWARDS = 10  # minimum rows at either end whose rewards are compared: one step's reward is mostly chance
CHANCE = 3  # times GRPO_HEALTH_STEPS after the warm-up, before which it is too early to judge
NO_BETTER = 0.01  # relative to the start: a smaller rise does not count, whatever the noise
PAYS_AT_MOST = {
    "correctness": 2.0, "int": 0.5, "strict_format": 0.5, "soft_format": 0.5, "xmlcount": 0.5,
    "soft_overlong": 0.0, "repetition_penalty": 0.0,
}  # fmt: skip
WARM_START = "warm_start"  # 1 in the rows of supervised steps, which are not judged
# Of an evaluation during training (GRPO_EVAL_STEPS): the share of right answers, or the mean of another measure.
HELD_OUT, HELD_OUT_MEAN = "eval_accuracy", "eval_mean"
HELD_OUT_ROWS = "eval_rows"  # on how many rows: of few training rows fewer are set apart than GRPO_EVAL_STEPS_ROWS


class History(NamedTuple):
    """The rows of one run so far, at least one, and its settings."""

    settings: Settings
    rows: Sequence[Row]

    @property
    def last(self) -> Row:
        """The newest row."""
        return self.rows[-1]

    @property
    def done(self) -> int:
        """GRPO's steps so far; those of a warm start before them taught something else."""
        return int(self.last["step"]) - self.settings.warm_start_steps

    def window(self, groups: float = 0, times: int = 1) -> Sequence[Row]:
        """The last rows, with the steps (`times` GRPO_HEALTH_STEPS) and groups that a sign must last; empty if there
        are too few."""
        settings = self.settings
        groups_per_step = max(1.0, settings.groups_per_step)
        steps = math.ceil(max(times * settings.health_steps, groups / groups_per_step))
        return self.over(steps)

    def over(self, steps: int) -> Sequence[Row]:
        """The rows of the last `steps` steps; empty if there are too few."""
        first = int(self.last["step"]) - steps
        return [row for row in self.rows[-steps:] if row["step"] > first] if self.before(self.rows[0]) <= first else []

    def before(self, row: Row) -> int:
        """The step before the first that `row` covers: it may come before GRPO_LOGGING_STEPS, as where one is saved."""
        earlier = (int(other["step"]) for other in self.rows if other["step"] < row["step"])
        return max(earlier, default=self.settings.warm_start_steps)

    @property
    def most(self) -> float:
        """The maximum reward of a completion. A reward that is not on the menu is assumed to pay at most 1."""
        return sum(abs(weight) * PAYS_AT_MOST.get(name, 1.0) for name, weight in self.settings.rewards)

    def climbs(self, key: str) -> bool:
        """Whether the last REWARDS values of `key` are above the first ones by more than their noise."""
        began, now = values(self.rows[:REWARDS], key), values(self.rows[-REWARDS:], key)
        if not began or not now:
            return False
        noise = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
        return fmean(now) > fmean(began) + 2 * noise + NO_BETTER

    def steps_of(self, rows: Sequence[Row]) -> int:
        """How many steps these consecutive rows cover."""
        return int(rows[-1]["step"]) - self.before(rows[0])

    def no_better(self) -> bool:
        """Whether the reward is no higher than at the start, within its noise from step to step."""
        rows = max(REWARDS, len(self.rows) // 4)
        began, now = values(self.rows[:rows], "reward"), values(self.rows[-rows:], "reward")
        if not began or not now:
            return True
        noise = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
        return fmean(now) <= fmean(began) + noise + NO_BETTER * abs(fmean(began))

    def learned_nothing(self) -> bool:
        """Whether the run had its chance to learn, and did not."""
        warmup = self.settings.warmup_steps
        after = warmup if warmup >= 1 else warmup * max(0, self.settings.max_steps)
        had_its_chance = self.done >= CHANCE * self.settings.health_steps + after
        return had_its_chance and len(self.rows) >= 2 * REWARDS and self.no_better()


def values(rows: Sequence[Row], key: str) -> list[float]:
    """The finite values of `key`."""
    return [float(row[key]) for row in rows if finite(row.get(key))]


def finite(value: object) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
