"""Checks whether a run can still succeed, from the history of its metrics. Pure; saves, stops and logs nothing.

A sign has a threshold, which is a setting, and must last for some steps, so that one odd batch ends nothing. Most
signs alone are a warning: a run whose reward rises continues. A run is hopeless if it has a bad sign and, well after
the warm-up, its reward is no higher than at the start; if it has no signal for four times as long; if its numbers are
not finite; or if its answers are alike whatever is asked.

Reasons for the thresholds:
- 64 groups with zero reward std, for at least 10 steps: if one group in fourteen has a signal, which still teaches
  something, so many in a row without one have a probability of 1 %. A share of steps would not do, because a step has
  one group in the reference run and eight in the sample's. Four times 10 steps end a run: one that ended at 77 % right
  answers had 12 such steps in a row, one on the way to 48 % had 25.
- 80 % of completions truncated: most gradients then come from unfinished reasoning, and no answer is reached.
- 10 nats per token from the base: the base would never write such text; it is gibberish.
- 100 times the first gradient norms: healthy runs of the sample reach 12 times theirs.
- 5 % of the first entropy: only for a run that is no better, because a good one ends at 0.5 % of its first.
- Those of `learning.py` are from the runs in tests/monitoring/histories: each was reached by runs that failed and by
  none that succeeded, with a margin of at least 1.5. Metrics do not show the answers, so they only warn.
"""

from collections.abc import Sequence

from grpo_job.monitoring.health import learning
from grpo_job.monitoring.health.alike import answers_alike
from grpo_job.monitoring.health.checks import SIGNS, Finding
from grpo_job.monitoring.health.history import HELD_OUT, HELD_OUT_MEAN, HELD_OUT_ROWS, WARM_START, History, Row
from grpo_job.settings.schema import Settings

__all__ = ["HELD_OUT", "HELD_OUT_MEAN", "HELD_OUT_ROWS", "WARM_START", "Finding", "Health", "judge"]


def judge(settings: Settings, rows: Sequence[Row]) -> list[Finding]:
    """What is wrong as of the last of `rows`, hopeless findings first; nothing if GRPO_HEALTH=off."""
    if not rows or settings.health == "off":
        return []
    history = History(settings, rows)
    found = [one for sign in (*SIGNS, answers_alike, *learning.SIGNS) for one in sign(history)]
    return sorted(found, key=lambda one: one.severity != "hopeless")


class Health:
    """Judges one run: each finding is returned once, and again if it becomes hopeless."""

    def __init__(self, settings: Settings, history: Sequence[Row] = ()) -> None:
        """`history`: the rows of earlier attempts."""
        self.settings, self.history = settings, list(history)
        self.found: list[Finding] = []
        self.verdict: Finding | None = None  # what ends the run; never set unless GRPO_HEALTH=stop

    def update(self, row: Row) -> list[Finding]:
        """Add a row; returns the new findings."""
        self.history.append(row)
        known = {(finding.kind, finding.severity) for finding in self.found}
        new = [
            one
            for one in judge(self.settings, self.history)
            if not known & {(one.kind, one.severity), (one.kind, "hopeless")}
        ]
        self.found += new
        if self.settings.health == "stop" and self.verdict is None:
            self.verdict = next((one for one in new if one.severity == "hopeless"), None)
        return new
