"""Logs to wandb, TensorBoard, MLflow and trackio: one tracker run for all attempts.

The job logs its own metrics, so all engines log alike, a step repeated after an interruption is not logged twice, one
that a killed process had not sent is logged later, and the final evaluation and the report are in the same place. The
libraries' own variables (`WANDB_*`, `MLFLOW_*`, `TRACKIO_*`) keep their meaning; the default is `RUN/trackers/`.
"""

import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from grpo_job.evaluation.measure import RIGHT, Measure
from grpo_job.monitoring.trackers import credentials
from grpo_job.monitoring.trackers.backends import TRACKERS, TrackerRun
from grpo_job.monitoring.trackers.background import CLOSE_SECONDS, InBackground
from grpo_job.run_folder.files import write_text

__all__ = ["CLOSE_SECONDS", "TrackerRun", "Trackers", "faults", "identity", "variables"]

ID = re.compile("[0-9a-z]{12}")


def faults(names: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """A sentence for each tracker that could not be opened: its module and its package have its name."""
    missing = [
        f"GRPO_REPORT_TO: {name!r} was given; its package is not installed: pip install {name}"
        for name in names
        if find_spec(name) is None
    ]
    return [*missing, *credentials.faults(names, environment)]


def variables(names: Sequence[str], folder: Path) -> dict[str, str]:
    """Variables that libraries read at import, to be set unless the user did."""
    known = {"wandb": ("WANDB_DIR", folder), "trackio": ("TRACKIO_DIR", folder / "trackio")}
    return {variable: str(place) for name, (variable, place) in known.items() if name in names}


def identity(folder: Path, remembered: str | None) -> str:
    """The tracker run's id in all attempts: from this folder, else from the checkpoint, else a new one."""
    path = folder / "run_id"
    here = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = (here if ID.fullmatch(here) else None) or remembered or uuid.uuid4().hex[:12]
    write_text(path, found)
    return found


class Trackers:
    """The open trackers, each in the background. One that fails or is too slow is disabled with one warning."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.warn = warn
        self.open: dict[str, InBackground] = {}

    def start(self, names: Sequence[str], run: TrackerRun, done: Sequence[Mapping[str, Any]] = ()) -> None:
        """Open these trackers, and log steps of `done`, the metrics of earlier attempts, that one lacks."""
        for name in names:
            try:
                self.open[name] = InBackground(partial(TRACKERS[name], run))
            except Exception as error:
                self._give_up(name, error)
        for row in done:
            self.log(row["step"], {key: value for key, value in row.items() if key != "step"})

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Log the finite numbers of one step to each tracker that does not have that step yet."""
        numbers = _finite(metrics)
        self._each(lambda tracker: tracker.log(step, numbers) if step > tracker.done else None)

    def conclude(self, summary: Mapping[str, Any], report: Path) -> None:
        """Log the final evaluation, under the name of what was measured, and attach the report."""
        accuracy, kept = summary["accuracy"], summary["format"]
        measure = Measure(accuracy.get("measure") or RIGHT).word
        figures = _finite(
            {
                f"final/{measure}_before": accuracy["before"],
                f"final/{measure}_after": accuracy["after"],
                "final/p_value": accuracy["p_value"],
                "final/format_before": kept["before"],
                "final/format_after": kept["after"],
            }
        )
        self._each(lambda tracker: tracker.log(summary["steps"]["done"], figures, more=True))
        self._each(lambda tracker: tracker.keep(report))

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what the trackers still buffer, in at most `seconds` each."""
        self._each(lambda tracker: tracker.close(seconds))
        self.open.clear()

    def _each(self, tell: Callable[[InBackground], None]) -> None:
        for name, tracker in list(self.open.items()):
            try:
                tell(tracker)
            except Exception as error:
                self._give_up(name, error)

    def _give_up(self, name: str, error: Exception) -> None:
        self.open.pop(name, None)
        self.warn(f"GRPO_REPORT_TO: {name} disabled for the rest of this attempt: {type(error).__name__}: {error}")


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in metrics.items() if isinstance(v, int | float) and math.isfinite(v)}
