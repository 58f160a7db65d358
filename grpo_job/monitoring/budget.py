"""Ends a run in order before its hours or its money are spent, from what its parts were measured to take.

The clock is that of all attempts together, for the machine is paid in all of them. Left over is
time for the evaluation of the adapter, for saving it and for publishing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from grpo_job.settings.schema import Settings
from grpo_job.settings.schemes import scheme_of

# Steps differ in length with their completions; the longest of the last ones is what one more may take.
RECENT_STEPS = 20
# The adapter may write longer answers than the base did, and a network has slow minutes.
MARGIN = 1.15
# Saving, before it was measured.
SAVE_SECONDS = 5.0
# Reading the adapter back, plots, report and card, which nothing before is like.
REPORT_SECONDS = 8.0
CURRENCY = "USD"


def limit_seconds(settings: Settings) -> float | None:
    """The hours, or what the money buys, whichever is less; None without a limit."""
    hours = [settings.max_hours] if settings.max_hours else []
    if settings.max_cost and settings.price_per_hour:
        hours.append(settings.max_cost / settings.price_per_hour)
    return 3600 * min(hours) if hours else None


def limiting_variable(settings: Settings) -> str:
    """Which of the two is the lesser, as a user gave it."""
    if settings.max_hours and limit_seconds(settings) == 3600 * settings.max_hours:
        return f"GRPO_MAX_HOURS={settings.max_hours:g}"
    return f"GRPO_MAX_COST={settings.max_cost:g}"


def cost(seconds: Mapping[str, float], price_per_hour: float | None) -> dict[str, Any] | None:
    """`summary.json`'s `cost`: what each phase took, in money; None without a price. `first_step` lies within others.

    >>> cost({"train": 1800.0, "total": 3600.0}, 2.0)
    {'currency': 'USD', 'total': 2.0, 'train': 1.0}
    """
    if price_per_hour is None:
        return None
    paid = {phase: round(price_per_hour * took / 3600, 4) for phase, took in seconds.items() if phase != "first_step"}
    return {"currency": CURRENCY, "total": paid.pop("total", 0.0), **paid}


@dataclass
class Budget:
    """`elapsed` tells the seconds of all attempts until now. Tell it what each part `took`; ask after each step."""

    settings: Settings
    elapsed: Callable[[], float]
    longest: dict[str, float] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)

    def took(self, part: str, seconds: float) -> None:
        """One part was measured: `evaluate`, `save` or `publish`."""
        self.longest[part] = max(seconds, self.longest.get(part, 0.0))

    def step_took(self, seconds: float) -> None:
        """A step was done."""
        self.steps.append(seconds)

    def reserve(self) -> float:
        """Seconds that everything after the last step will take."""
        publish = sum(scheme_of(uri).publish_seconds for uri in self.settings.publish_to)
        return MARGIN * (
            self.longest.get("evaluate", 0.0)
            + self.longest.get("save", SAVE_SECONDS)
            + REPORT_SECONDS
            + self.longest.get("publish", publish)
        )

    def reason_to_stop(self, step: int, planned: int) -> str | None:
        """Why training ends after this step, which an earlier attempt may have done; None while one more fits."""
        limit = limit_seconds(self.settings)
        if limit is None or step >= planned:
            return None
        if self.elapsed() + max(self.steps[-RECENT_STEPS:], default=0.0) + self.reserve() <= limit:
            return None
        return (
            f"ended after step {step} of {planned}, evaluated and saved as it stands: one more step would not have "
            f"fitted into {limiting_variable(self.settings)}"
        )

    def reason_to_refuse(self) -> str | None:
        """Why training need not begin: what comes after it takes all that is left, and no step would fit."""
        limit = limit_seconds(self.settings)
        if limit is None or self.elapsed() + self.reserve() < limit:
            return None
        return (
            f"{limiting_variable(self.settings)} leaves no time for a first step: {self.elapsed():.0f} s are gone, and "
            f"evaluating, saving and publishing take about {self.reserve():.0f} s more; allowed: more, or a smaller "
            "GRPO_EVAL_ROWS"
        )
