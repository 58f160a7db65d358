"""The job from Python: `grpo_job.run(**settings)` and `grpo_job.load(run)`.

A run has a process of its own, as at the command line: it may start anew with a smaller plan, signals end it in order,
and it leaves no memory taken.
"""

import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from grpo_job.outcomes import (
    Abandoned,
    Interrupted,
    InvalidRun,
    PublishFailed,
    RunEnded,
    RunLocked,
    StopNow,
    Unexpected,
    starting_a_process,
)
from grpo_job.phases.name import name_run
from grpo_job.phases.read_settings import unknown_rewards
from grpo_job.reports import run_data
from grpo_job.run_folder.files import read_json, read_jsonl
from grpo_job.run_folder.paths import WEIGHTS, RunFolder, require_plain
from grpo_job.settings import config_file
from grpo_job.settings.own_process import finding_this_package
from grpo_job.settings.primitives import field
from grpo_job.settings.reader import resolve
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.settings.redaction.secrets import secret_values

ENDINGS = (InvalidRun, PublishFailed, Abandoned, RunLocked, Interrupted)
COMMAND = (sys.executable, "-c", "from grpo_job.cli import main; main()", "run")


class LoadedRun:
    """A run as plain data. Lists of objects, one per row: `pandas.DataFrame(run.metrics)`."""

    def __init__(self, path: Path) -> None:
        self._data = run_data.read(path)
        self._path = path
        self.folder: Path = self._data.folder.path

    def __repr__(self) -> str:
        return f"LoadedRun({str(self._path)!r})"

    @cached_property
    def summary(self) -> dict[str, Any]:
        """`summary.json`: how the run ended, accuracy before and after, seconds and cost, where it was published."""
        return self._data.summary

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting, by name in lower case."""
        return self._data.settings

    @cached_property
    def environment(self) -> dict[str, Any]:
        """`environment.json`: versions, GPUs, plan, commits of model and rows."""
        return self._data.environment

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """One object per step, with TRL's names."""
        return self._data.metrics

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """`evaluation.json`: accuracy with intervals, paired test and verdict; empty before the end."""
        return read_json(self._data.folder.verdict) if self._data.judged else {}

    @cached_property
    def answers(self) -> list[dict[str, Any]]:
        """Each held-out question twice, `when` before and after training: completion, answer, whether it is right."""
        sides = {"before": read_jsonl(self._data.folder.before), "after": self._data.answers_after}
        return [{"when": when, **record} for when, records in sides.items() for record in records]

    @cached_property
    def completions(self) -> list[dict[str, Any]]:
        """The completions of training with what each reward paid; may be many."""
        return read_jsonl(self._data.folder.completions)

    @property
    def adapter(self) -> Path | None:
        """The folder of the LoRA, for `PeftModel.from_pretrained`; None before it is saved."""
        places = (self._data.folder.adapter, self._path)
        return next((place for place in places if (place / WEIGHTS).is_file()), None)

    @property
    def report(self) -> Path | None:
        """`report.html`; None before it is written."""
        return self._data.folder.report if self._data.folder.report.is_file() else None


def load(run: str | PathLike[str]) -> LoadedRun:
    """The run in a run folder or a downloaded tree. Raises `InvalidRun` if there is none, or for odd files."""
    path = Path(run).expanduser()
    require_plain(path)
    if not run_data.read(path).folder.settings.is_file():
        raise InvalidRun(f"{path}: there is no settings.json; allowed: a run folder, or a published tree")
    return LoadedRun(path)


def run(environment: Mapping[str, str], settings: Mapping[str, Any]) -> LoadedRun:
    """Train, evaluate and publish in a process of its own; resume where an earlier call stopped.

    Raises the `RunEnded` of the exit code where it does not end with 0: `InvalidRun` (2), `PublishFailed` (3),
    `Abandoned` (4), `RunLocked` (5), `Interrupted` (75), `Unexpected` (1).
    """
    REDACTOR.know(secret_values(environment))
    given = {field(name): _text(field(name), value) for name, value in settings.items()}
    resolved = resolve(environment, given, [unknown_rewards])
    named = name_run(resolved.settings, dict(environment)).settings
    given["run_id"] = named.run_id or ""
    code = _wait_for(
        [*COMMAND, *(part for name, text in given.items() for part in ("--set", f"{name}={text}"))], environment
    )
    folder = RunFolder(named.folder_of_run)
    if code:
        _raise(code, read_json(folder.summary).get("ending", {}))
    return load(folder.path)


def _text(name: str, value: Any) -> str:
    return config_file.as_text(name, list(value) if isinstance(value, tuple | set) else value)


def _wait_for(command: list[str], environment: Mapping[str, str]) -> int:
    """The exit code. An interrupt is passed on once: the run then saves a checkpoint and ends with 75."""
    with starting_a_process():
        process = subprocess.Popen(
            command, env=finding_this_package(environment), stdin=subprocess.DEVNULL, start_new_session=True
        )
    asked = False
    while True:
        try:
            return process.wait()
        except (KeyboardInterrupt, StopNow):
            if not asked:
                process.send_signal(signal.SIGINT)
            asked = True


def _raise(code: int, ending: Mapping[str, Any]) -> NoReturn:
    kind: type[RunEnded] = next((one for one in ENDINGS if one.code == code), Unexpected)
    told = ending.get("reason") if ending.get("code") == code else None
    raise kind(told or f"the run ended with exit code {code}; what it printed says why")
