"""The end of `grpo-job run`: told once by the process that speaks for the run, then the process ends with the code."""

from collections.abc import Mapping

from grpo_job.monitoring.ending import Ending
from grpo_job.outcomes import RESTART, Outcome
from grpo_job.runtime import launcher, process_exit
from grpo_job.runtime.signals import Interruption
from grpo_job.runtime.world import is_rank
from grpo_job.settings.reader import Resolved


class Told:
    """Who is told how this process of a run ends, whichever way it does; see `monitoring.ending`."""

    def __init__(self, environment: Mapping[str, str], interruption: Interruption) -> None:
        self._given = dict(environment)  # before libraries set their own
        self._interruption = interruption
        self._ending = Ending(self._given, lambda: interruption.facts())
        self._speaks = speaks(self._given)
        if self._speaks:
            interruption.on_end = self._tell

    def take(self, resolved: Resolved) -> Resolved:
        """From now on these settings say how and what is told."""
        self._ending.settings = resolved.settings
        return resolved

    def leave(self, outcome: Outcome) -> None:
        """End the process, or restart it if that is the outcome."""
        if outcome.kind == RESTART and not is_rank(self._given):
            process_exit.restart(outcome.reason, self._given)
        if not self._interruption.asked:
            self._interruption.close()  # the outcome is known: a signal would only cut short who is told
        if self._speaks:
            self._tell(outcome)
        process_exit.leave(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self._ending.tell(outcome, self._interruption.grace_left() if self._interruption.asked else None)


def speaks(environment: Mapping[str, str]) -> bool:
    """Whether this process speaks for the run: alone, or the first of several, if no parent of ours started it."""
    if is_rank(environment):
        return environment["RANK"] == "0" and not launcher.has_parent(environment)
    return environment.get("PET_NODE_RANK", "0") in ("", "0")
