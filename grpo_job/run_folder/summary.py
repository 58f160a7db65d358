"""The state of a run: `summary.json`, written at its start and at its end."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_job.evaluation.notes import counted
from grpo_job.outcomes import Outcome
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import Damaged, read_json, write_json
from grpo_job.run_folder.paths import RunFolder

PHASES = ("check", "download", "load", "first_step", "train", "evaluate", "save", "publish", "total")
LEFT = ("attempts", "fruitless_attempts", "seconds", "stopped", "asked_for", "training_rows", "start_adapter")
OF_RESULT = ("before_publishing", "kept", "merged", "samples", "verify")
RUNNING = {"code": None, "kind": "running", "reason": "the run has not ended, or was killed"}


class Summary:
    """The public keys, see docs/run-folder.md. Keeps what earlier attempts wrote.

    `damage`: why that could not be read, else empty. Then the result is rebuilt from the checkpoint.
    The thread that ends the process may write while the main thread does: an ending, once written, stays.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.path, self.damage = path, ""
        try:
            self.earlier = read_json(path, shapes.Summary)
        except Damaged as damage:
            self.earlier, self.damage = {}, damage.sentence
        self.values: dict[str, Any] = {
            "steps": {"done": 0, "planned": 0, "lost_to_resume": 0},
            "accuracy": {"before": None, "after": None, "rows": 0, "verdict": None, "p_value": None, "measure": None},
            "format": {"before": None, "after": None},
            "cost": None,
            "adapter": None,
            "published": [],
            "fruitless_attempts": 0,
            **self.earlier,
            "run_id": run_id,
            "ending": RUNNING,
            "seconds": dict.fromkeys(PHASES, 0.0) | self.earlier.get("seconds", {}),
            "attempts": self.earlier.get("attempts", 0) + 1,
        }
        if "path" in (self.values["adapter"] or {}):  # the folder may have been renamed or moved, as its name may
            self.update(adapter={"path": str(RunFolder(path.parent).adapter)})
        self._turn = threading.RLock()  # a signal handler may end the process in the midst of its thread's turn

    @property
    def ended_with(self) -> int | None:
        """Exit code of the previous attempt, None if it was killed or there was none."""
        code: int | None = self.earlier.get("ending", RUNNING)["code"]
        return code

    def handover_state(self) -> dict[str, Any]:
        """What an attempt without this folder must know: the number and the time of earlier attempts."""
        return {
            "ended_with": self.values["ending"]["code"],
            "lost_to_resume": self.values["steps"]["lost_to_resume"],
            **{name: self.values.get(name) for name in LEFT},
        }

    def restore(self, left: Mapping[str, Any]) -> None:
        """Add attempts that this summary does not know of; the last of them `left` this state with its claim."""
        if left.get("attempts", 0) >= self.values["attempts"]:
            self.update(
                attempts=left["attempts"] + 1,
                fruitless_attempts=left.get("fruitless_attempts", 0),
                seconds=left.get("seconds", {}),
                steps={"lost_to_resume": left.get("lost_to_resume", 0)},
            )

    def forget_result(self) -> None:
        """The training goes on: what was measured of its earlier result does not hold any more."""
        nothing: dict[str, Any] = {"after": None, "verdict": None, "p_value": None, "notes": []}
        self.update(accuracy=nothing, format={"after": None}, adapter=None, published=[])
        for name in OF_RESULT:
            self.values.pop(name, None)

    def forget_stop(self, *, restart: bool) -> None:
        """Training resumes: drop why it stopped, and, if it restarts, its health findings."""
        self.update(stopped=None)
        if restart:
            self.update(health=[])

    def update(self, **values: Any) -> None:
        """Set keys; dicts are merged."""
        for key, value in values.items():
            old = self.values.get(key)
            self.values[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value

    def write(self, ending: Outcome | None = None, seconds: dict[str, float] | None = None) -> None:
        with self._turn:
            if seconds:
                self.update(seconds={name: round(value, 3) for name, value in seconds.items()})
            if ending:
                self.values["ending"] = ending._asdict()
            write_json(self.path, self.values)


def facts(values: Mapping[str, Any], folder: RunFolder, model: str) -> dict[str, Any]:
    """What who is told of the end of a run needs, as flat fields; None is unknown. Shares are between 0 and 1."""
    accuracy, steps, seconds = values["accuracy"], values["steps"], values["seconds"]["total"]
    return {
        "run_id": values["run_id"],
        "model": model,
        **{name: accuracy.get(name) for name in ("measure", "before", "after", "verdict", "p_value", "rows")},
        "share": accuracy.get("share", True),
        "steps": steps["done"],
        "planned": steps["planned"],
        "attempts": values["attempts"],
        "seconds": seconds,
        "minutes": round(seconds / 60, 2),
        "cost": (values["cost"] or {}).get("total"),
        "published": [place["uri"] for place in values["published"]],
        "adapter": (values["adapter"] or {}).get("path"),
        "report": str(folder.report) if folder.report.is_file() else None,
        "run_folder": str(folder.path),
    }


def closing_lines(values: dict[str, Any], folder: Path) -> list[str]:
    """The final lines of the log: accuracy, where the result is, time and outcome."""
    accuracy, seconds = values["accuracy"], values["seconds"]
    lines = _measured(accuracy)
    if values["adapter"]:
        lines.append(f"adapter: {values['adapter']['path']}")
    lines += [f"published: {place['uri']} ({place['revision'] or 'verified'})" for place in values["published"]]
    lines.append(f"run folder: {folder}")
    lines.append(_time(seconds))
    ending = values["ending"]
    lines.append(f"{ending['kind']} (exit {ending['code']}): {ending['reason']}")
    return lines


def _time(seconds: Mapping[str, float]) -> str:
    """How long the run took, and its phases; the first step ends within them.

    >>> _time({"load": 8.2, "first_step": 15.6, "train": 6.0, "save": 0.1, "total": 25.0})
    'time: 25 s (load 8, train 6); the first step ended after 16 s'
    """
    long = [phase for phase in PHASES if phase not in ("first_step", "total") and seconds.get(phase, 0) >= 0.5]
    parts = ", ".join(f"{phase} {seconds[phase]:.0f}" for phase in long)
    first = seconds.get("first_step")
    return (
        f"time: {seconds['total']:.0f} s"
        + (f" ({parts})" if parts else "")
        + (f"; the first step ended after {first:.0f} s" if first else "")
    )


def _measured(accuracy: Mapping[str, Any]) -> list[str]:
    """The measure before and after with its verdict, and what is to be known beside it; nothing if not measured."""
    if accuracy["after"] is None or accuracy["before"] is None:
        return []
    share = accuracy.get("share", True)
    before, after = (f"{accuracy[when]:.1%}" if share else f"{accuracy[when]:.3g}" for when in ("before", "after"))
    rise = accuracy["after"] - accuracy["before"]
    change = f"{100 * rise:+.1f} points" if share else f"{rise:+.3g}"
    verdict = f", {accuracy['verdict']}, p = {accuracy['p_value']:.2g}" if accuracy["verdict"] else ""
    name = accuracy.get("measure") or "accuracy"
    warm = accuracy.get("warm")
    middle = "" if warm is None else f"{f'{warm:.1%}' if share else f'{warm:.3g}'} after the warm start, "
    rows = counted(accuracy["rows"], "row")
    said = f"held-out {name}: {before} before, {middle}{after} after ({change} on {rows}{verdict})"
    return [said, *accuracy.get("notes", [])[:1]]
