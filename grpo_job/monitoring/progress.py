"""What a person or a log collector sees: phases, steps, and the closing lines.

`rich` draws a bar on a terminal; otherwise plain lines, or with `GRPO_LOG_FORMAT=json` one object per line. Also
measures seconds by phase.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.text import Text

from grpo_job.monitoring.streams import lasting
from grpo_job.settings.redaction.redactor import REDACTOR


class Progress:
    """Logs to standard output, and measures how long each phase takes."""

    def __init__(self, log_format: str, *, on_phase: Callable[[], object] = lambda: None) -> None:
        """`on_phase` is called when a phase begins."""
        self.seconds: dict[str, float] = {}
        self.started = time.monotonic()
        self.on_phase = on_phase
        self._earlier_total = 0.0
        # A copy of standard output, because `libraries_write_to` redirects the original.
        self._out = lasting(os.dup(sys.stdout.fileno()))
        self._console = Console(file=self._out, highlight=False, soft_wrap=True)
        self._format = log_format
        if log_format == "auto":
            self._format = "rich" if self._console.is_terminal else "plain"
        self._bar: rich.progress.Progress | None = None

    def count_from(self, earlier: Mapping[str, float]) -> None:
        """Continue from the seconds by phase of earlier attempts."""
        self.seconds = dict(earlier)
        self._earlier_total = self.seconds.get("total", 0.0)

    @contextmanager
    def phase(self, name: str, title: str) -> Iterator[None]:
        """Log a phase, and add its time to `seconds`."""
        began = time.monotonic()
        self.say(title, event="phase", phase=name)
        self.on_phase()
        try:
            yield
        finally:
            self._end_bar()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def total(self) -> float:
        """Seconds over all attempts."""
        return self._earlier_total + time.monotonic() - self.started

    def say(self, text: str, *, style: str = "", **fields: Any) -> None:
        """Log one line; `fields` are added in JSON."""
        text, fields = REDACTOR.text(text), REDACTOR.value(fields)
        if self._format == "json":
            line = json.dumps({"time": round(time.time(), 3), "message": text, **fields})
            print(line, file=self._out, flush=True)
        elif self._format == "rich":
            self._console.print(Text(text, style=style or ("bold" if fields.get("event") == "phase" else "")))
        else:
            clock = timedelta(seconds=int(time.monotonic() - self.started))
            print(f"[{clock}] {text}", file=self._out, flush=True)

    def warn(self, text: str) -> None:
        """Log a warning; the run continues."""
        self.say(f"warning: {text}", style="yellow", event="warning")

    def step(self, step: int, planned: int, metrics: dict[str, float], seconds_left: float) -> None:
        """Log a training step: its reward, and the time left."""
        reward, spread = metrics.get("reward"), metrics.get("reward_std")
        told = "" if reward is None else f"reward {reward:.3f} ± {spread or 0:.3f}"
        text = f"step {step}/{planned}  {told}, {timedelta(seconds=int(seconds_left))} left"
        if self._format == "json":
            self.say(text, event="step", step=step, planned=planned, metrics=metrics)
        elif self._format == "rich":
            self._show_bar(step, planned, text)
        else:
            self.say(text)

    def closing(self, lines: Sequence[str]) -> None:
        """Log the last lines of a run."""
        self._end_bar()
        for line in lines:
            self.say(line, event="closing")

    def _show_bar(self, step: int, planned: int, text: str) -> None:
        if self._bar is None:
            columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False)
            self._bar = rich.progress.Progress(*columns, console=self._console, auto_refresh=False)
            self._bar.start()
            self._bar.add_task("")
        self._bar.update(TaskID(0), completed=step, total=planned, description=text, refresh=True)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
