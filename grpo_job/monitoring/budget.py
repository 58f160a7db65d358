"""Stops training in time to evaluate, save and publish within the maximum hours and cost.

The clock runs over all attempts, because each is paid for. What is still to come is estimated from measured times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from grpo_job.settings.schema import Settings
from grpo_job.settings.schemes import scheme_of

# Step times vary with completion lengths: the longest of these is the estimate for one more.
RECENT_STEPS = 20
# The adapter may write longer answers than the base, and networks have slow minutes.
MARGIN = 1.15
# Saving, until it is measured.
SAVE_SECONDS = 5.0
# Loading the adapter back, plots, report and card, which are never measured before.
REPORT_SECONDS = 8.0
CURRENCY = "USD"


def limit_seconds(settings: Settings) -> float | None:
    """The maximum hours or what the maximum cost buys, whichever is less; None without a limit."""
    hours = [settings.max_hours] if settings.max_hours else []
    if settings.max_cost and settings.price_per_hour:
        hours.append(settings.max_cost / settings.price_per_hour)
    return 3600 * min(hours) if hours else None


def limiting_variable(settings: Settings) -> str:
    """The setting that sets the limit, as the user gave it."""
    if settings.max_hours and limit_seconds(settings) == 3600 * settings.max_hours:
        return f"GRPO_MAX_HOURS={settings.max_hours:g}"
    return f"GRPO_MAX_COST={settings.max_cost:g}"


def cost(seconds: Mapping[str, float], price_per_hour: float | None) -> dict[str, Any] | None:
    """`cost` of `summary.json`: each phase in money; None without a price. `first_step` is part of other phases.

    >>> cost({"train": 1800.0, "total": 3600.0}, 2.0)
    {'currency': 'USD', 'total': 2.0, 'train': 1.0}
    """
    if price_per_hour is None:
        return None
    paid = {phase: round(price_per_hour * took / 3600, 4) for phase, took in seconds.items() if phase != "first_step"}
    return {"currency": CURRENCY, "total": paid.pop("total", 0.0), **paid}


@dataclass
class Budget:
    """`elapsed` returns the seconds of all attempts so far."""

    settings: Settings
    elapsed: Callable[[], float]
    longest: dict[str, float] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)

    def took(self, part: str, seconds: float) -> None:
        """Record the measured time of `evaluate`, `save` or `publish`."""
        self.longest[part] = max(seconds, self.longest.get(part, 0.0))

    def step_took(self, seconds: float) -> None:
        self.steps.append(seconds)

    def reserve(self) -> float:
        """Seconds that everything after the last step is expected to take."""
        publish = sum(scheme_of(uri).publish_seconds for uri in self.settings.publish_to)
        return MARGIN * (
            self.longest.get("evaluate", 0.0)
            + self.longest.get("save", SAVE_SECONDS)
            + REPORT_SECONDS
            + self.longest.get("publish", publish)
        )

    def reason_to_stop(self, step: int, planned: int) -> str | None:
        """Why training ends after this step; None while another step fits."""
        limit = limit_seconds(self.settings)
        if limit is None or step >= planned:
            return None
        if self.elapsed() + max(self.steps[-RECENT_STEPS:], default=0.0) + self.reserve() <= limit:
            return None
        return (
            f"ended after step {step} of {planned}, then evaluated and saved: another step would not fit into "
            f"{limiting_variable(self.settings)}"
        )

    def reason_to_refuse(self) -> str | None:
        """Why training does not start: no step would fit before the final evaluation and publishing."""
        limit = limit_seconds(self.settings)
        if limit is None or self.elapsed() + self.reserve() < limit:
            return None
        return (
            f"{limiting_variable(self.settings)} leaves no time for a first step: {self.elapsed():.0f} s are used, and "
            f"evaluating, saving and publishing need about {self.reserve():.0f} s; allowed: a higher limit, or a "
            "smaller GRPO_EVAL_ROWS"
        )
