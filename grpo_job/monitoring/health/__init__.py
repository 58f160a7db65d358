"""Is this run still worth its money: judges the history of its metrics. Pure; saves, stops and says nothing itself.

A sign has a threshold, which is a setting, and must last for some steps, so that one odd batch ends
nothing. Most signs alone are a warning: a run whose reward rises goes on. Hopeless is one with a bad
sign whose reward is no better than it began, well behind the warm-up; one that has no signal; and one
whose numbers are none any more. `history.py` reads the rows, `signs.py` knows what is bad.

Why the thresholds are what they are:
- 64 groups without spread, for at least 10 steps: where one group in fourteen has spread, which still
  teaches something, as many in a row without are a chance of one in a hundred. A share of steps would not do,
  for a step holds one group in the reference run and eight in the sample's.
- 80 % of completions cut: most gradients then come from unfinished thoughts, and no answer is reached.
- 10 nats a token from the base: its text is a millionth as likely to the base as its own, it speaks gibberish.
- 100 times the first gradient norms: healthy runs of the sample reach 12 times theirs.
- 5 % of the first entropy: only of a run that is no better, for a good one ends at 0.5 % of its first.
- Those of `learning.py` are from the ten histories in tests/monitoring/histories: each was reached by a run that went
  wrong and by none that went well. They rest on one collapsed run and on one that learned nothing, so they warn.
"""

from collections.abc import Sequence

from grpo_job.monitoring.health import learning
from grpo_job.monitoring.health.checks import SIGNS, Finding
from grpo_job.monitoring.health.history import HELD_OUT, WARM_START, History, Row
from grpo_job.settings.schema import Settings

__all__ = ["HELD_OUT", "WARM_START", "Finding", "Health", "judge"]


def judge(settings: Settings, rows: Sequence[Row]) -> list[Finding]:
    """What is wrong as of the last of `rows`, the hopeless first; nothing when GRPO_HEALTH=off."""
    if not rows or settings.health == "off":
        return []
    history = History(settings, rows)
    return sorted(
        (one for sign in (*SIGNS, *learning.SIGNS) for one in sign(history)), key=lambda one: one.severity != "hopeless"
    )


class Health:
    """The judge beside one run: what is found is told once, and once more where it has become hopeless."""

    def __init__(self, settings: Settings, history: Sequence[Row] = ()) -> None:
        """`history`: the rows of earlier attempts."""
        self.settings, self.history = settings, list(history)
        self.found: list[Finding] = []
        self.verdict: Finding | None = None  # what ends the run; never set unless GRPO_HEALTH=stop

    def update(self, row: Row) -> list[Finding]:
        """One more row; answers what is new."""
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
