"""Reads the rows of `metrics.jsonl`: what lasted, what rose, and whether a run had its chance to learn."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pvariance
from typing import Any, NamedTuple

from grpo_job.settings.schema import Settings

Row = Mapping[str, Any]

REWARDS = 10  # rows at either end whose rewards are compared, at least: one step's reward is mostly chance
CHANCE = 3  # times GRPO_HEALTH_STEPS behind the warm-up: before, no run can be told to have learned nothing
NO_BETTER = 0.01  # of the beginning: a reward that rose by less has not risen, whatever its noise
PAYS_AT_MOST = {"correctness": 2.0, "int": 0.5, "strict_format": 0.5, "soft_format": 0.5, "xmlcount": 0.5}
WARM_START = "warm_start"  # 1 in the rows of supervised steps, which are not judged
HELD_OUT = "eval_accuracy"  # of an evaluation while training, where GRPO_EVAL_STEPS asks for them


class History(NamedTuple):
    """The rows of one run until now, at least one, and the settings that say how to judge them."""

    settings: Settings
    rows: Sequence[Row]

    @property
    def last(self) -> Row:
        """The newest row."""
        return self.rows[-1]

    def window(self, groups: float = 0) -> Sequence[Row]:
        """The last rows: as many as hold the steps, and the groups, that a sign must last. Empty: not so many yet."""
        settings = self.settings
        groups_per_step = max(1.0, settings.groups_per_step)
        steps = math.ceil(max(settings.health_steps, groups / groups_per_step))
        return self.over(steps)

    def over(self, steps: int) -> Sequence[Row]:
        """The rows of the last `steps` steps. Empty: not so many yet."""
        first = int(self.last["step"]) - steps
        earliest = self.rows[0]["step"] - self.settings.logging_steps  # the first row tells of these steps too
        return [row for row in self.rows[-steps:] if row["step"] > first] if earliest <= first else []

    @property
    def most(self) -> float:
        """What a completion that every reward pays best earns. A reward off the menu is taken to pay 1 at best."""
        return sum(abs(weight) * PAYS_AT_MOST.get(name, 1.0) for name, weight in self.settings.rewards)

    def climbs(self, key: str) -> bool:
        """Whether the last REWARDS values under `key` are above the first by more than their noise."""
        began, now = values(self.rows[:REWARDS], key), values(self.rows[-REWARDS:], key)
        if not began or not now:
            return False
        noise = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
        return fmean(now) > fmean(began) + 2 * noise + NO_BETTER

    def steps_of(self, rows: Sequence[Row]) -> int:
        """How many steps these rows in a row tell of."""
        return int(rows[-1]["step"] - rows[0]["step"]) + self.settings.logging_steps

    def no_better(self) -> bool:
        """Whether the reward is where it began or below, as far as its noise from step to step lets one tell."""
        rows = max(REWARDS, len(self.rows) // 4)
        began, now = values(self.rows[:rows], "reward"), values(self.rows[-rows:], "reward")
        if not began or not now:
            return True
        noise = math.sqrt(pvariance(began) / len(began) + pvariance(now) / len(now))
        return fmean(now) <= fmean(began) + noise + NO_BETTER * abs(fmean(began))

    def learned_nothing(self) -> bool:
        """Whether the run had its chance to learn, and did not."""
        warmup = self.settings.warmup_steps
        behind = warmup if warmup >= 1 else warmup * max(0, self.settings.max_steps)
        had_its_chance = self.last["step"] >= CHANCE * self.settings.health_steps + behind
        return had_its_chance and len(self.rows) >= 2 * REWARDS and self.no_better()


def values(rows: Sequence[Row], key: str) -> list[float]:
    """The finite numbers under `key`."""
    return [float(row[key]) for row in rows if finite(row.get(key))]


def finite(value: object) -> bool:
    """Whether it is a number, and neither infinite nor NaN."""
    return isinstance(value, int | float) and math.isfinite(value)
