"""Runs of several processes on this machine's CPU, from the container's door."""

import base64
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.faults import runs
from tests.faults.hooks import WithoutReport
from tests.ranks.door import HOOKS

RUN_ID = runs.RUN_ID
SMALL = {"GRPO_PROCESSES": "2", "GRPO_PROBE_PROMPTS": "0", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8"}


def start(folder: Path, settings: Mapping[str, str] | None = None, hooks: Sequence[runs.Hook] = ()) -> runs.Attempt:
    """An attempt at the run in `folder`; without reports, which take longer than the run."""
    variables = runs.environment(folder, {**SMALL, **(settings or {})})
    variables[HOOKS] = base64.b64encode(pickle.dumps([WithoutReport(), *hooks])).decode()
    variables["PYTHONPATH"] = str(runs.ROOT)
    log = runs._new_log(folder)
    with log.open("wb") as out:
        door = [sys.executable, str(runs.ROOT / "tests" / "ranks" / "door.py")]
        process = subprocess.Popen(door, cwd=runs.ROOT, env=variables, stdout=out, stderr=subprocess.STDOUT)
    return runs.Attempt(process, log)


def finish(folder: Path, settings: Mapping[str, str] | None = None, hooks: Sequence[runs.Hook] = ()) -> int:
    """One attempt to its end; answers its exit code."""
    return start(folder, settings, hooks).wait()


def ranks_of(attempt: runs.Attempt) -> list[psutil.Process]:
    """The processes that torchrun has started for it, rank 0 first; none before it has."""
    found = [process for process in psutil.Process(attempt.pid).children(recursive=True) if _rank(process) is not None]
    return sorted(found, key=lambda process: int(_rank(process) or 0))


def _rank(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("RANK")
    except psutil.Error:
        return None
