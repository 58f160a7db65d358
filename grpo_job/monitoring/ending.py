"""Tells once how a process of a run ended, whatever ends it: a POST to GRPO_NOTIFY_URL, and the `end` event of the log.

The log's event is written with `GRPO_LOG_FORMAT=json`, as its last line.
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from grpo_job.monitoring import notify
from grpo_job.monitoring.progress import Progress
from grpo_job.monitoring.streams import lasting
from grpo_job.outcomes import EXIT_INTERRUPTED, Outcome
from grpo_job.settings.notify_url import NAME, PATH_NAME
from grpo_job.settings.schema import Settings

SHORTEST = 1.0  # seconds for a POST when the grace period is over


class Ending:
    """What is known of a run when its process ends, and who is told."""

    def __init__(self, environment: Mapping[str, str], facts: Callable[[], Mapping[str, Any]]) -> None:
        """`facts` returns what an attempt knows; it is empty if there was none."""
        self.environment, self.facts = dict(environment), facts
        self.settings: Settings | None = None
        self._lock, self._told = threading.RLock(), False  # a second signal comes in the thread that tells
        self._out = _copy_of(sys.stdout)

    def tell(self, ending: Outcome, seconds: float | None = None) -> None:
        """Post and log the ending; only once, and until that is done other threads wait.

        `seconds`: what is left of a grace period, if one has begun.
        """
        with self._lock:
            if self._told:
                return
            self._told = True
            try:
                self._tell(ending, None if seconds is None else max(SHORTEST, seconds))
            except Exception as error:  # the run has ended as it did, whatever is wrong with what is known of it
                print(f"grpo-job: the end was not told: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def _tell(self, ending: Outcome, seconds: float | None) -> None:
        facts = {**self._of_settings(), **self.facts(), **of(ending)}
        progress = Progress(self._log_format(), run_id=facts.get("run_id"), out=self._out)
        facts["notified"] = notify.send(self._address(), facts, progress.warn, seconds=seconds)
        progress.end(ending.reason, level(ending), facts)

    def _address(self) -> Mapping[str, str]:
        """The variables that hold the address; once the settings are known, as they have it."""
        if self.settings is None:
            return self.environment
        url = self.environment.get(NAME, "") if self.settings.notify_url else ""
        return {NAME: url, PATH_NAME: self.settings.notify_url_path or ""}

    def _of_settings(self) -> dict[str, Any]:
        settings = self.settings
        return {"run_id": settings.run_id, "model": settings.model} if settings else {"run_id": None, "model": None}

    def _log_format(self) -> str:
        """Also if the settings could not be read."""
        given = self.environment.get("GRPO_LOG_FORMAT", "").strip()
        return self.settings.log_format if self.settings else "json" if given == "json" else "plain"


def of(ending: Outcome) -> dict[str, Any]:
    """The ending as fields."""
    return {"exit_code": ending.code, "state": ending.kind, "reason": ending.reason}


def level(ending: Outcome) -> str:
    return "info" if ending.code == 0 else "warning" if ending.code == EXIT_INTERRUPTED else "error"


def _copy_of(stream: TextIO) -> TextIO:
    """The stream as it is now, whatever its descriptor is redirected to later; itself if it has none."""
    try:
        return lasting(os.dup(stream.fileno()))
    except (OSError, ValueError):
        return stream
