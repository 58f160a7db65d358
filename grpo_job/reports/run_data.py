"""Reads a run folder for reports. Missing files are fine: a run that stopped early has fewer."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

from grpo_job.evaluation.measure import RIGHT, Measure
from grpo_job.reports.formatting import clean
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import Damaged, parsed, read_json, read_jsonl
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings import example

Record = dict[str, Any]
Row = tuple[str, str, int]  # question, gold, and the how-manieth row with these it is
AGGREGATES: dict[str, Callable[[list[float]], float]] = {"last": itemgetter(-1), "max": max, "median": median}


@dataclass(frozen=True)
class RunData:
    """One run. Every figure of a report comes from `value`, by file and key."""

    folder: RunFolder
    label: str = ""

    @cached_property
    def name(self) -> str:
        return self.label or str(self.summary.get("run_id") or self.folder.path.name)

    @cached_property
    def summary(self) -> Record:
        return read_json(self.folder.summary, shapes.Summary)

    @property
    def live(self) -> bool:
        """Whether the run goes on, as far as its folder tells: of an earlier result nothing holds any more."""
        running = (self.summary.get("ending") or {}).get("kind") == "running"
        return running and (self.summary.get("accuracy") or {}).get("after") is None

    @property
    def judged(self) -> bool:
        """Whether the verdict in the folder is of the result: training that went on leaves an earlier one there."""
        accuracy = self.summary.get("accuracy")
        return not accuracy or accuracy.get("verdict") is not None

    @property
    def as_of(self) -> str:
        """When the summary was written, in UTC."""
        written = datetime.fromtimestamp(self.folder.summary.stat().st_mtime, UTC)
        return f"{written:%Y-%m-%d %H:%M} UTC"

    @cached_property
    def settings(self) -> Record:
        settings: Record = read_json(self.folder.settings, shapes.Resolved).get("settings", {})
        return settings

    @cached_property
    def example(self) -> str:
        """The worked example in the prompts; empty where there is none."""
        given: str = example.given(self.settings.get("example") or "")
        return given or (self.summary.get("example") or {}).get("text", "")

    @cached_property
    def system_message(self) -> str:
        """What stands before each question."""
        return example.joined(self.settings.get("system_prompt") or "", self.example)

    @cached_property
    def origins(self) -> dict[str, str]:
        origins: dict[str, str] = read_json(self.folder.settings, shapes.Resolved).get("from", {})
        return origins

    @cached_property
    def start_adapter(self) -> str:
        """The adapter that training started from, with the digest of its weights; empty if it started from the base."""
        found = self.environment.get("start_adapter")
        return f"{clean(str(found['name']))} (SHA-256 {found['sha256']})" if found else ""

    @cached_property
    def environment(self) -> Record:
        return read_json(self.folder.environment)

    @cached_property
    def evaluation(self) -> Record:
        """`evaluation.json`; the verdict of one without a chosen measure is about `correct`."""
        found = read_json(self.folder.verdict) if self.judged else {}
        old: Record = {"primary": found.get("correct"), "measure": {"name": "accuracy", "share": True}, "notes": []}
        return {**old, **found} if found else {}

    @property
    def measure(self) -> Measure:
        """What the run is judged by; that of a run without an evaluation reads answers."""
        found = self.evaluation.get("measure", {})
        return Measure(found.get("name", RIGHT), tuple((name, weight) for name, weight in found.get("weights", ())))

    @property
    def share(self) -> bool:
        """Whether the measure is 0 or 1 for each row, so that its mean is a share."""
        return bool(self.evaluation.get("measure", {}).get("share", True))

    @cached_property
    def metrics(self) -> list[Record]:
        return read_jsonl(self.folder.metrics, shapes.Step)

    @cached_property
    def pairs(self) -> list[tuple[Record, Record]]:
        """Records before and after per held-out question; empty if one side is missing."""
        before, after = by_row(read_jsonl(self.folder.before, shapes.Asked)), by_row(self.answers_after)
        return [(old, after[row]) for row, old in before.items() if row in after]

    @cached_property
    def answers_after(self) -> list[Record]:
        """The answers of the adapter to the held-out rows."""
        return read_jsonl(self.folder.after, shapes.Asked) if self.judged else []

    @cached_property
    def rollouts(self) -> tuple[list[Record], list[Record]]:
        """The completions of the first and of the last step."""
        first: list[Record] = []
        last: list[Record] = []
        for row in _lines(self.folder.completions):
            if not first or row["step"] == first[0]["step"]:
                first.append(row)
            elif last and row["step"] == last[0]["step"]:
                last.append(row)
            else:
                last = [row]
        return first, last

    @cached_property
    def reward_names(self) -> list[str]:
        """The rewards in the metrics, in the order of the settings."""
        found = [key.removeprefix("rewards/").removesuffix("/mean") for key in self.keys if key.endswith("/mean")]
        logged = [name for name in found if f"rewards/{name}/mean" in self.keys]
        order = [str(name).rpartition("::")[2].rpartition(".")[2] for name, _ in self.settings.get("rewards", ())]
        return sorted(logged, key=lambda name: order.index(name) if name in order else len(order))

    @cached_property
    def keys(self) -> list[str]:
        """Every logged metric, in order of appearance."""
        return list(dict.fromkeys(key for row in self.metrics for key in row))

    @cached_property
    def checkpoints(self) -> list[Record]:
        """Step, name and bytes of each complete checkpoint, oldest first."""
        manifests = []
        for path in self.folder.checkpoints.glob("step-*/manifest.json"):
            with suppress(Damaged):
                manifests.append((path.parent.name, read_json(path, shapes.Manifest)))
        return sorted(
            (
                {"name": name, "step": found["step"], "bytes": sum(f["bytes"] for f in found["files"].values())}
                for name, found in manifests
            ),
            key=lambda checkpoint: int(checkpoint["step"]),
        )

    def value(self, source: str, key: str) -> Any:
        """A value in a file of the run folder; None if it is missing.

        In a JSON file `key` is a path of keys (`accuracy.after`); in `metrics.jsonl` it is one of AGGREGATES and a
        metric (`median step_time`), over the steps with a finite value.
        """
        if source == "metrics.jsonl":
            aggregate, _, metric = key.partition(" ")
            values = [value for value in self.series(metric)[1] if math.isfinite(value)]
            return AGGREGATES[aggregate](values) if values else None
        files = {
            "summary.json": self.summary,
            "environment.json": self.environment,
            "evaluation/evaluation.json": self.evaluation,
            "settings.json": {"settings": self.settings, "from": self.origins},
        }
        return _at(files[source], key.split("."))

    def series(self, metric: str) -> tuple[list[int], list[float]]:
        """Steps and values of one metric. `tokens_per_second` follows from `num_tokens` and `step_time`."""
        if metric == "tokens_per_second":
            return self._tokens_per_second()
        rows = [row for row in self.metrics if isinstance(row.get(metric), int | float)]
        return [row["step"] for row in rows], [float(row[metric]) for row in rows]

    def _tokens_per_second(self) -> tuple[list[int], list[float]]:
        """Tokens of prompts and completions of each step over the step's time."""
        steps, values, seen, last = [], [], 0.0, 0
        for row in self.metrics:
            tokens, seconds = row.get("num_tokens"), row.get("step_time")
            if tokens is None or not seconds:
                continue
            if tokens > seen:
                steps.append(row["step"])
                values.append((tokens - seen) / (seconds * max(1, row["step"] - last)))
            seen, last = tokens, row["step"]
        return steps, values


def read(path: Path) -> RunData:
    """The run in `path`: a run folder, or a published tree with `run/`."""
    inside = path / "run"
    return RunData(RunFolder(inside if (inside / "settings.json").is_file() else path))


def _at(value: Any, path: list[str]) -> Any:
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def by_row(records: Sequence[Record]) -> dict[Row, Record]:
    """The records by row; the same question twice, as under two system messages, is two rows."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for record in records:
        key = record["question"], record["gold"]
        found[(*key, seen[key])] = record
        seen[key] += 1
    return found


def _lines(path: Path) -> Iterator[Record]:
    """The complete lines of a file, one at a time because it may be large."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith("\n"):
                yield parsed(path, line, shapes.Step, number)
