"""Describes the machine: GPUs from `nvidia-smi`, and versions. Imports no torch."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.outcomes import InvalidRun, Unexpected
from grpo_job.settings.engines import ENGINES

FIELDS = "name,uuid,memory.total,memory.used,driver_version,compute_cap,mig.mode.current"
LONGEST_ANSWER_SECONDS = 60
PACKAGES = (
    "accelerate", "bitsandbytes", "boto3", "datasets", "grpo-job", "huggingface-hub", "torch", "triton",
)  # fmt: skip
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")  # of Docker and podman


class GpuSeen(NamedTuple):
    """One GPU as `nvidia-smi` reports it; zeros for what it does not report.

    Memory in MiB; `capability` such as (9, 0). With MIG, the numbers are those of the whole GPU.
    """

    name: str
    uuid: str
    memory_mib: int
    used_mib: int
    driver: str
    capability: tuple[int, int]
    mig: bool = False


def gpus(visible: str | None = None) -> list[GpuSeen]:
    """The GPUs that this process may use; `visible` is the value of CUDA_VISIBLE_DEVICES.

    Empty without `nvidia-smi`, or if it finds no driver or no GPU. Raises `InvalidRun` if it does not report the
    memory or capability of one, because nothing can be planned for it.
    """
    if shutil.which("nvidia-smi") is None or (visible is not None and not visible.strip()):
        return []
    command = ["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=LONGEST_ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unexpected(
            f"nvidia-smi did not answer within {LONGEST_ANSWER_SECONDS} s: the GPU or its driver hangs"
        ) from error
    except OSError as error:
        raise InvalidRun(
            f"PATH: nvidia-smi cannot be run ({error}); repair the driver, or set CUDA_VISIBLE_DEVICES to an empty "
            "value for a run on the CPU"
        ) from error
    seen = chosen(parse(answer.stdout), visible) if answer.returncode == 0 else []
    for gpu in seen:
        if not gpu.memory_mib or gpu.capability == (0, 0):
            raise InvalidRun(
                f"CUDA_VISIBLE_DEVICES: nvidia-smi does not report memory and capability of {gpu.name}; "
                "allowed: another GPU, or none (an empty value) for a run on the CPU"
            )
    return seen


def parse(table: str) -> list[GpuSeen]:
    """The rows of `nvidia-smi --query-gpu=... --format=csv,noheader,nounits`; other lines are skipped."""
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines()]
    return [
        GpuSeen(name, uuid, _number(total), _number(used), driver, _capability(capability), mig == "Enabled")
        for name, uuid, total, used, driver, capability, mig in (row for row in rows if len(row) == 7)
    ]


def chosen(found: list[GpuSeen], visible: str | None) -> list[GpuSeen]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, in its order.

    As in CUDA, the first unknown one ends the list, and one that is named twice makes it empty.
    """
    if visible is None:
        return found
    left: list[GpuSeen] = []
    for word in (part.strip() for part in visible.split(",")):
        gpu = _named(word, found)
        if gpu is None:
            break
        if gpu in left:
            return []
        left.append(gpu)
    return left


def is_command_of_container(environment: Mapping[str, str]) -> bool:
    """Whether a container of Docker, podman or Kubernetes was started for this process, by itself or below an init.

    Not for a command that a person types in a shell there, as on rented machines, which are containers themselves.
    """
    inside = "KUBERNETES_SERVICE_HOST" in environment or any(Path(file).exists() for file in CONTAINER_FILES)
    return inside and 1 in (os.getpid(), os.getppid())


def versions() -> dict[str, str]:
    """Installed versions of the packages that affect a result: those of the engines, and PACKAGES."""
    found = {}
    needs = [where for facts in ENGINES.values() for where in (facts.on_gpu, facts.on_cpu) if where]
    for package in sorted({*PACKAGES, *(package for one in needs for package in one.packages)}):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), **found}


def describe(seen: list[GpuSeen]) -> dict[str, Any]:
    """For `environment.json`."""
    return {"platform": platform.platform(), "versions": versions(), "gpus": [gpu._asdict() for gpu in seen]}


def _named(word: str, found: list[GpuSeen]) -> GpuSeen | None:
    """The GPU with this index or UUID prefix. `nvidia-smi` lists no MIG parts, so `MIG-...` is any GPU with MIG."""
    if word.isdecimal():
        return found[int(word)] if len(word) < 6 and int(word) < len(found) else None
    if word.startswith("MIG-"):
        return next((gpu for gpu in found if gpu.mig), None)
    return next((gpu for gpu in found if word.startswith("GPU-") and gpu.uuid.startswith(word)), None)


def _number(cell: str) -> int:
    """`"143771"` as 143771; `"[N/A]"` and `"[Insufficient Permissions]"` as 0."""
    return int(cell) if cell.isdecimal() else 0


def _capability(cell: str) -> tuple[int, int]:
    major, _, minor = cell.partition(".")
    return _number(major), _number(minor)
