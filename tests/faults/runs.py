"""Real attempts at real runs, in processes of their own: started, signalled, watched, compared.

`start` forks from a server that has torch and TRL loaded already, so that an attempt takes seconds; what
happens while the libraries are imported is tried through `start_cold`, the container's own door.
"""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_job.run_folder.files import read_json, read_jsonl, sha256
from tests.faults.hooks import WithoutReport

ROOT = Path(__file__).parents[2]
LONGEST_SECONDS = 600.0
RUN_ID = "run"
# The smallest run in which all that an attempt does is done.
SETTINGS = {
    "GRPO_RECIPE": "smoke",
    "GRPO_RUN_ID": RUN_ID,
    "GRPO_MAX_STEPS": "6",
    "GRPO_EVAL_ROWS": "4",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4",
    "GRPO_NUM_GENERATIONS": "2",
    "GRPO_MAX_COMPLETION_LENGTH": "64",
    "GRPO_SAVE_STEPS": "2",
    "GRPO_LOG_FORMAT": "json",
}
# Metrics that tell how long something took or how much memory it had, which no two runs share.
TIMINGS = ("time/", "memory/", "step_time")
PRELOADED = [
    "grpo_job.job", "grpo_job.engines.trl_cpu", "matplotlib.figure", "scipy.stats", "tests.faults.hooks",
    "tests.faults.preloaded",
]  # fmt: skip

Hook = Callable[[], object]
_server = multiprocessing.get_context("forkserver")


class Attempt:
    """One attempt that was started: its process, its exit code, what it said."""

    def __init__(self, process: Any, log: Path) -> None:
        self._process, self.log, self.pid = process, log, int(process.pid)

    def signal(self, number: int) -> bool:
        """Send a signal; False where the attempt is over already."""
        if self.poll() is not None:
            return False
        os.kill(self.pid, number)
        return True

    def poll(self) -> int | None:
        """The exit code, negative for the signal that ended it; None while it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        code: int | None = self._process.exitcode
        return code

    def wait(self, seconds: float = LONGEST_SECONDS) -> int:
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                os.kill(self.pid, 9)
                raise TimeoutError(f"the attempt did not end in {seconds:.0f} s:\n{self.said()[-3000:]}")
            time.sleep(0.02)
        return code

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, happened: Callable[[], bool], seconds: float = LONGEST_SECONDS) -> bool:
        """Whether it happened while the attempt was running."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.poll() is None:
            if happened():
                return True
            time.sleep(0.01)
        return happened()


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What the job sees: this machine's variables without any GRPO_ one, and these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    return {**kept, **SETTINGS, "GRPO_OUTPUT_DIR": str(folder), **settings}


def start(folder: Path, settings: Mapping[str, str] | None = None, *, hooks: Sequence[Hook] = ()) -> Attempt:
    """An attempt in a fork of a process that has the libraries loaded.

    `hooks` are called in the new process before the door opens; they must be picklable.
    """
    log = _new_log(folder)
    process = forked(_attempt, environment(folder, settings or {}), str(log), tuple(hooks))
    return Attempt(process, log)


def forked(target: Callable[..., None], *arguments: object) -> Any:
    """A started fork of the one process that has the libraries loaded, whose environment is set here."""
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # as the door sets it before any import
    # What killed processes leave behind is no news here.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    _server.set_forkserver_preload(PRELOADED)
    process = _server.Process(target=target, args=arguments)
    process.start()
    return process


def start_cold(folder: Path, settings: Mapping[str, str] | None = None) -> Attempt:
    """An attempt as a container starts it: `python entrypoint.py`."""
    log = _new_log(folder)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "entrypoint.py"],
            cwd=ROOT, env=environment(folder, settings or {}), stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Attempt(process, log)


def finish(folder: Path, settings: Mapping[str, str] | None = None, *, hooks: Sequence[Hook] = ()) -> int:
    """One attempt to its end; answers its exit code."""
    return start(folder, settings, hooks=hooks).wait()


def undisturbed(folder: Path) -> Path:
    """A folder with the smallest run, left alone and without reports; one that is there already is taken as it is."""
    if not folder.exists():
        assert finish(folder, hooks=[WithoutReport()]) == 0
    return folder


def result(folder: Path) -> dict[str, Any]:
    """All of a finished run that must be equal between two of them."""
    run = folder / RUN_ID
    return {
        "adapter": sha256(run / "adapter" / "adapter_model.safetensors"),
        "metrics": [without_timings(row) for row in read_jsonl(run / "metrics.jsonl")],
        "completions": read_jsonl(run / "completions.jsonl"),
        "before": read_jsonl(run / "evaluation" / "before.jsonl"),
        "after": read_jsonl(run / "evaluation" / "after.jsonl"),
        "ending": read_json(run / "summary.json")["ending"]["code"],
    }


def difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The first thing that two results do not share, "" if they are equal."""
    for name, value in expected.items():
        if found[name] != value:
            if name != "metrics":
                return f"{name} differs"
            steps = [row["step"] for row in value], [row["step"] for row in found[name]]
            if steps[0] != steps[1]:
                return f"metrics have the steps {steps[1]}, not {steps[0]}"
            pairs = zip(value, found[name], strict=True)
            row, other = next((row, other) for row, other in pairs if row != other)
            keys = sorted(key for key in {*row, *other} if row.get(key) != other.get(key))
            return f"metrics of step {row['step']} differ in {', '.join(keys)}"
    return ""


def without_timings(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith(TIMINGS)}


def _new_log(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"attempt-{len(list(folder.glob('attempt-*.log'))) + 1}.log"
    log.touch()
    return log


def _attempt(variables: dict[str, str], log: str, hooks: tuple[Hook, ...]) -> None:
    """The whole life of the forked process: as `entrypoint.py`, with standard output and error in `log`."""
    from grpo_job.cli import main
    from grpo_job.runtime.signals import Interruption

    os.environ.clear()
    os.environ.update(variables)
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    interruption = Interruption().install()
    for hook in hooks:
        hook()
    main(["run"], obj=interruption)
