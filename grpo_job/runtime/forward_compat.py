"""CUDA's forward compatibility: the newer user-mode driver of cuda-compat, in front of an older driver's own.

The dynamic linker reads LD_LIBRARY_PATH when a process starts, so this program restarts with it, as the entry points of
NVIDIA's own images set it. Nothing happens where the driver is new enough, or the container runtime did it already.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from grpo_job.runtime import cuda_driver, process_exit
from grpo_job.runtime.machine import GpuSeen

FOLDERS: Sequence[str] = ("/usr/local/cuda-13.0/compat", "/usr/local/cuda/compat")
LONGEST_TRIAL_SECONDS = 60
CUDA_13 = 13000  # as cuDriverGetVersion counts
NOT_SUPPORTED = 804  # CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE
# cuInit makes no context: nothing of the GPU's memory is used.
TRIAL = """
import ctypes
cuda, version = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
code = cuda.cuInit(0)
cuda.cuDriverGetVersion(ctypes.byref(version))
print(code, version.value)
"""


def restart_if_needed(seen: Sequence[GpuSeen], environment: Mapping[str, str]) -> None:
    """Restart this program with the libraries in front, if a driver needs them and they work."""
    older = [gpu for gpu in seen if cuda_driver.support(gpu.driver, gpu.name) == "with libraries"]
    front = in_front(environment)
    if older and front and tried(environment) and not tried(front):
        folder = front["LD_LIBRARY_PATH"].partition(":")[0]
        process_exit.restart(f"driver {older[0].driver} is used with CUDA's libraries of {folder}", front)


def fault(environment: Mapping[str, str]) -> str:
    """Why CUDA 13 does not run with an older driver; empty if it does."""
    now, front = tried(environment), in_front(environment)
    if not now or front is None:
        return now
    return tried(front) or f"{front['LD_LIBRARY_PATH'].partition(':')[0]} is not in LD_LIBRARY_PATH"


def in_front(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment with the folder of libraries in front; None if there is none, or it is in front already."""
    folder = next((folder for folder in FOLDERS if Path(folder, "libcuda.so.1").exists()), None)
    paths = [path for path in environment.get("LD_LIBRARY_PATH", "").split(":") if path]
    if folder is None or paths[:1] == [folder]:
        return None
    return {**environment, "LD_LIBRARY_PATH": ":".join([folder, *paths])}


def tried(environment: Mapping[str, str]) -> str:
    """Why a process with this environment could not use CUDA 13; empty if it could."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", TRIAL], env=dict(environment), capture_output=True, text=True,
            timeout=LONGEST_TRIAL_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"libcuda.so.1 did not answer within {LONGEST_TRIAL_SECONDS} s"
    if done.returncode:
        return "libcuda.so.1 cannot be loaded" if done.returncode > 0 else "libcuda.so.1 crashes"
    code, version = map(int, done.stdout.split()[-2:])
    if code == NOT_SUPPORTED:
        return "they do not support this GPU (cuInit: 804)"
    if code:
        return f"cuInit ended with error {code}"
    return "" if version >= CUDA_13 else f"libcuda.so.1 is of CUDA {version // 1000}.{version % 1000 // 10}"
