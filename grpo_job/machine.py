"""The machine as it is: GPUs through `nvidia-smi`, memory, versions. Imports no torch."""

import platform
import shutil
import subprocess
from importlib import metadata
from typing import Any, NamedTuple

FIELDS = "name,uuid,memory.total,memory.used,driver_version,compute_cap"
PACKAGES = (
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "huggingface-hub", "vllm", "unsloth",
    "unsloth-zoo", "bitsandbytes", "triton", "math-verify", "boto3",
)  # fmt: skip


class GpuSeen(NamedTuple):
    """One GPU as `nvidia-smi` reports it. Memory in MiB; `capability` such as (9, 0)."""

    name: str
    uuid: str
    memory_mib: int
    used_mib: int
    driver: str
    capability: tuple[int, int]


def gpus(visible: str | None = None) -> list[GpuSeen]:
    """The GPUs that this process may use; `visible` is the value of CUDA_VISIBLE_DEVICES."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0:
        return []
    found = parse(answer.stdout)
    if visible is None:
        return found
    wanted = [word.strip() for word in visible.split(",") if word.strip()]
    return [gpu for index, gpu in enumerate(found) if str(index) in wanted or gpu.uuid in wanted]


def parse(table: str) -> list[GpuSeen]:
    """The rows of `nvidia-smi --query-gpu=... --format=csv,noheader,nounits`."""
    found = []
    for line in table.strip().splitlines():
        name, uuid, total, used, driver, capability = (cell.strip() for cell in line.split(","))
        major, _, minor = capability.partition(".")
        found.append(GpuSeen(name, uuid, int(total), int(used), driver, (int(major), int(minor or 0))))
    return found


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide a result."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), **found}


def describe(seen: list[GpuSeen]) -> dict[str, Any]:
    """For `environment.json`."""
    return {"platform": platform.platform(), "versions": versions(), "gpus": [gpu._asdict() for gpu in seen]}
