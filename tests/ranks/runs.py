"""Runs of several processes on this machine's CPU, from the container's door."""

import base64
import pickle
import subprocess
import sys
import time
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


def wait_until_no_rank_is_left(folder: Path, seconds: float = runs.LONGEST_SECONDS) -> None:
    """The parent kills what is left, and ends without waiting for it."""
    end = time.monotonic() + seconds
    while left := [process.pid for process in psutil.process_iter() if _works_in(process, folder)]:
        assert time.monotonic() < end, f"processes of the run are left: {left}"
        time.sleep(0.05)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get("GRPO_OUTPUT_DIR") == str(folder) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
