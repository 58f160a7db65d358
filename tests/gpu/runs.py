"""Runs of the embedded sample on a GPU, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from grpo_job.run_folder.paths import RunFolder

ROOT = Path(__file__).parents[2]
RUN_ID = "run"
# A test machine may hold other versions than the lock's, and several tests may share a GPU.
OF_MACHINE = ("GRPO_ALLOW_OTHER_VERSIONS", "GRPO_VLLM_GPU_MEMORY_UTILIZATION")
GIVEN = {name: os.environ[name] for name in OF_MACHINE if name in os.environ}
SMOKE = {"GRPO_RECIPE": "smoke", "GRPO_PROCESSES": "1", **GIVEN}


def start(
    outputs: Path, settings: Mapping[str, str], door: tuple[str, ...] = ("entrypoint.py",)
) -> subprocess.Popen[bytes]:
    """An attempt at the sample's run below `outputs`; what it says goes to `outputs/said.log`."""
    variables = {**SMOKE, "GRPO_RUN_ID": RUN_ID, "GRPO_OUTPUT_DIR": str(outputs), **settings}
    outputs.mkdir(parents=True, exist_ok=True)
    with (outputs / "said.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *door],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", **variables},
            stdout=log,
            stderr=log,
        )


def said(outputs: Path) -> str:
    """The end of what the attempts said."""
    return (outputs / "said.log").read_text(errors="replace")[-3000:]


def folder(outputs: Path) -> RunFolder:
    return RunFolder(outputs / RUN_ID)


def cache(outputs: Path) -> Path:
    """Where libraries keep what they compile. Tests share GRPO_CACHE_DIR where it is set: it spares a minute each."""
    return Path(os.environ.get("GRPO_CACHE_DIR", outputs / "cache"))
