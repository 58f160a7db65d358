"""Checks the GPU without using it: driver, compute capability, free memory."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.planner import choose, gpus
from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import GB, ModelShape
from grpo_job.preflight.findings import Finding
from grpo_job.runtime import cuda_driver, forward_compat
from grpo_job.runtime.machine import GpuSeen
from grpo_job.settings.engines import ENGINES
from grpo_job.settings.schema import Settings

LEAST_CAPABILITY = (7, 5)  # CUDA 13 does not support GPUs before Turing
BF16_CAPABILITY = (8, 0)
IDLE = 1.0 * GB  # a driver uses some hundred MB of an idle GPU
MIB = 2**20


def findings(seen: list[GpuSeen], plan: Plan | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    libraries = cache(lambda: forward_compat.fault(environment))
    for gpu in seen:
        yield _driver(gpu, libraries)
        yield _generation(gpu)
        yield _memory(gpu, plan)
    if any(gpu.mig for gpu in seen):
        message = (
            "a GPU is partitioned (MIG), but the plan assumes all its memory: set GRPO_VLLM_GPU_MEMORY_UTILIZATION"
        )
        yield Finding("warned", "GPU", message)


def _driver(gpu: GpuSeen, libraries: Callable[[], str]) -> Finding:
    """`libraries` tries those of forward compatibility, and says why they are of no use."""
    match cuda_driver.support(gpu.driver, gpu.name):
        case "as it is":
            return Finding("passed", "driver", f"{gpu.driver} of {gpu.name}")
        case "with libraries" if why := libraries():
            return Finding("failed", "driver", cuda_driver.lacking(gpu.driver, gpu.name, why))
        case "with libraries":
            message = f"{gpu.driver} of {gpu.name}, with the libraries of {cuda_driver.PACKAGE}"
            return Finding("passed", "driver", message)
        case "no":
            return Finding("failed", "driver", cuda_driver.refusal(gpu.driver, gpu.name))


def _generation(gpu: GpuSeen) -> Finding:
    found = f"{gpu.name} has compute capability {gpu.capability[0]}.{gpu.capability[1]}"
    if gpu.capability < LEAST_CAPABILITY:
        return Finding("failed", "GPU", f"{found}, but CUDA 13 needs 7.5: use a newer GPU (T4, L4, A100, H100)")
    if gpu.capability < BF16_CAPABILITY:
        message = f"{found}: training uses float16, which may overflow; bfloat16 needs 8.0 (A100, L4, H100)"
        return Finding("warned", "GPU", message)
    return Finding("passed", "GPU", found)


def _memory(gpu: GpuSeen, plan: Plan | None) -> Finding:
    total, used = gpu.memory_mib * MIB, gpu.used_mib * MIB
    needed = plan.memory.total if plan else 0.0
    found = f"{needed / GB:.1f} GB planned, {(total - used) / GB:.1f} of {total / GB:.1f} GB free"
    others = used_by_others(gpu)
    if not others:
        return Finding("passed", "GPU memory", found)
    return Finding("failed" if needed > total - used else "warned", "GPU memory", f"{found}; {others}")


def used_by_others(gpu: GpuSeen) -> str:
    """What other processes hold of a GPU that this one does not use yet, with the cure; empty if it is idle."""
    used = gpu.used_mib * MIB
    if used <= IDLE:
        return ""
    return f"other processes use {used / GB:.1f} GB of {gpu.name}: see nvidia-smi, end them or use another GPU"


def unused(kind: gpus.Kind) -> GpuSeen:
    """A GPU of this kind, as this job would see it where nobody else uses it."""
    return GpuSeen(kind.name, "", kind.memory_mib, 0, "", kind.capability)


def needed_elsewhere(settings: Settings, config: Mapping[str, Any], shape: ModelShape) -> Finding:
    """The first of the usual GPUs on which the run fits, for a check on a machine without a GPU."""
    message = "this machine has none, so GPU, disk, memory and versions were not checked; "
    return Finding(
        "skipped", "GPU", f"{message}{_fits(settings, config, shape)}; `grpo-job plan` estimates time and cost"
    )


def _fits(settings: Settings, config: Mapping[str, Any], shape: ModelShape) -> str:
    for _, kind in map(gpus.wanted, gpus.USUAL):
        try:
            plan = choose.plan(settings, config, unused(kind))
        except InvalidRun:
            continue
        return f"the run fits on an {kind.name} ({plan.memory.total / GB:.1f} GB planned)"
    return f"{shape.parameters / 1e9:.1f} billion parameters fit on no single GPU with these settings"


def is_wanted(settings: Settings, shape: ModelShape) -> bool:
    """Whether the run would not train on a CPU."""
    runs_here = settings.engine == "auto" or ENGINES[settings.engine].runs(gpus=0)
    return not runs_here or shape.parameters > choose.MOST_PARAMETERS_ON_CPU
