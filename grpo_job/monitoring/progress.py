"""What a person or a log collector sees: phases, steps, and the closing lines.

`rich` draws a bar on a terminal; otherwise plain lines, or with `GRPO_LOG_FORMAT=json` one object per line. Also
measures seconds by phase.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from grpo_job.monitoring.bar import Bar
from grpo_job.monitoring.figures import clock, of_count, of_step
from grpo_job.monitoring.streams import lasting
from grpo_job.monitoring.wrapping import wrapped
from grpo_job.settings.redaction.redactor import REDACTOR

QUIET_SECONDS = 60.0  # after which a log without a bar says how far a phase is
# Yellow cannot be read on white, and what is left of a bar must not look fuller than the rest of it.
COLOURS = Theme({"progress.elapsed": "none", "bar.back": "bright_black", "warning": "magenta"})


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor: a process that is killed could not show it again."""
        return False


class Progress:
    """Logs to standard output, and measures how long each phase takes."""

    def __init__(
        self,
        log_format: str,
        *,
        on_phase: Callable[[], object] = lambda: None,
        run_id: str | None = None,
        out: TextIO | None = None,
    ) -> None:
        """`on_phase` is called when a phase begins. `out`: where to log, in place of standard output."""
        self.seconds: dict[str, float] = {}
        self.started = time.monotonic()
        self.on_phase, self.run_id = on_phase, run_id
        self._earlier_total = 0.0
        # A copy of standard output, because `libraries_write_to` redirects the original.
        self._out = out or lasting(os.dup(sys.stdout.fileno()))
        self._console = _Console(file=self._out, highlight=False, soft_wrap=True, theme=COLOURS)
        self._format = log_format
        if log_format == "auto":
            self._format = "rich" if self._console.is_terminal else "plain"
        self._bar = Bar(self._console) if self._format == "rich" else None
        self._title, self._phase, self._phase_began, self._counted = "", "", self.started, (0, 0)
        self._said_at = self.started

    def count_from(self, earlier: Mapping[str, float]) -> None:
        """Continue from the seconds by phase of earlier attempts."""
        self.seconds = dict(earlier)
        self._earlier_total = self.seconds.get("total", 0.0)

    @contextmanager
    def phase(self, name: str, title: str) -> Iterator[None]:
        """Log a phase, say from time to time how far it is, and add its time to `seconds`."""
        began = time.monotonic()
        self._title, self._phase, self._phase_began, self._counted = title, name, began, (0, 0)
        self.say(title, event="phase", phase=name)
        self.on_phase()
        over = threading.Event()
        try:
            if self._bar:
                self._bar.begin()
            else:
                threading.Thread(target=self._say_how_far, args=(over,), name="progress", daemon=True).start()
            yield
        finally:
            over.set()
            self._end_bar()
            self.seconds, self._title, self._phase = self.so_far(), "", ""

    def so_far(self) -> dict[str, float]:
        """Seconds by phase, with what the present one has taken."""
        if not self._phase:
            return dict(self.seconds)
        taken = time.monotonic() - self._phase_began
        return {**self.seconds, self._phase: self.seconds.get(self._phase, 0.0) + taken}

    def total(self) -> float:
        """Seconds over all attempts."""
        return self._earlier_total + time.monotonic() - self.started

    def say(self, text: str, *, style: str = "", level: str = "info", **fields: Any) -> None:
        """Log one line; `fields` are added in JSON."""
        text, fields = REDACTOR.text(text), REDACTOR.value(fields)
        self._said_at = time.monotonic()
        if self._format == "json":
            now = datetime.now(UTC)
            stamp = {"time": round(now.timestamp(), 3), "timestamp": now.isoformat(timespec="milliseconds")}
            line = {**stamp, "level": level, "run_id": self.run_id, "message": text, **fields}
            print(json.dumps(line), file=self._out, flush=True)
        elif self._format == "rich":
            shown = wrapped(text, self._console.width)
            self._console.print(Text(shown, style=style or ("bold" if fields.get("event") == "phase" else "")))
        else:
            print(f"[{clock(time.monotonic() - self.started)}] {text}", file=self._out, flush=True)

    def warn(self, text: str) -> None:
        """Log a warning; the run continues."""
        self.say(f"warning: {text}", style="warning", level="warning", event="warning")

    def step(
        self, step: int, planned: int, metrics: dict[str, float], seconds_left: float, cost: float | None = None
    ) -> None:
        """Log a training step: reward, length, accuracy, the time it took and takes, and the `cost` so far."""
        seconds = {"elapsed": time.monotonic() - self._phase_began, "left": seconds_left}
        self._counted = 0, 0
        parts = of_step(metrics, seconds, cost)
        text = f"step {step}/{planned}  {', '.join(parts)}"
        if self._bar:
            self._bar.show(step, planned, text, stays=True)
        else:
            told: dict[str, Any] = {f"seconds_{name}": round(value, 3) for name, value in seconds.items()}
            self.say(text, event="step", step=step, planned=planned, metrics=metrics, **told, cost=cost)

    def count(self, done: int, total: int) -> None:
        """So many of the answers that this phase asks for are there; logged where it takes long."""
        self._counted = done, total
        if self._bar and self._title:
            text = of_count(done, total, time.monotonic() - self._phase_began)
            self._bar.show(done, total, text, stays=False)

    def closing(self, lines: Sequence[str]) -> None:
        """Log the last lines of a run."""
        self._end_bar()
        for line in lines:
            self.say(line, event="closing")

    def end(self, text: str, level: str, facts: Mapping[str, Any]) -> None:
        """The last line of a log of JSON; in the other forms the closing lines say the same."""
        if self._format == "json":
            self.say(text, level=level, event="end", **facts)

    def _say_how_far(self, over: threading.Event) -> None:
        """In a thread, until the phase is `over`: a line whenever nothing else was logged for a while."""
        title, began = self._title, self._phase_began
        while not over.wait(max(0.05, self._said_at + QUIET_SECONDS - time.monotonic())):
            if time.monotonic() - self._said_at >= QUIET_SECONDS:
                done, total = self._counted
                taken = time.monotonic() - began
                told = of_count(done, total, taken) if total else f"{clock(taken)} so far"
                fields: dict[str, Any] = {"done": done, "total": total} if total else {}
                self.say(f"{title}: {told}", event="progress", seconds_elapsed=round(taken, 3), **fields)

    def _end_bar(self) -> None:
        if self._bar:
            self._bar.end()
