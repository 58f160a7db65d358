"""The GPU as it is: its driver, its generation, and who else is on it. Nothing here touches it."""

from collections.abc import Callable, Iterator

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import GB, Gpu, ModelShape
from grpo_job.preflight.findings import Finding
from grpo_job.runtime.machine import GpuSeen

# The lock's PyTorch is built for CUDA 13, whose libraries want this driver; older ones need CUDA's forward
# compatibility package, which only data-centre GPUs take.
LEAST_DRIVER = 580
LEAST_CAPABILITY = (7, 5)  # CUDA 13 has no code for what came before Turing
BF16_CAPABILITY = (8, 0)
IDLE = 1.0 * GB  # a driver keeps some hundred MB of an idle GPU
MIB = 2**20

# What one can rent, the smallest first: named when this machine has none.
SIZES = (
    Gpu("L4 or A10 with 24 GB", 23034 * MIB, (8, 9)),
    Gpu("A100 with 40 GB", 40960 * MIB, (8, 0)),
    Gpu("L40S with 48 GB", 46068 * MIB, (8, 9)),
    Gpu("A100 or H100 with 80 GB", 81559 * MIB, (9, 0)),
    Gpu("H200 with 141 GB", 143771 * MIB, (9, 0)),
)


def findings(gpus: list[GpuSeen], plan: Plan | None) -> Iterator[Finding]:
    """Of each GPU: driver, generation, memory that others hold."""
    for gpu in gpus:
        yield _driver(gpu)
        yield _generation(gpu)
        yield _memory(gpu, plan)
    if any(gpu.mig for gpu in gpus):
        said = "a GPU is split (MIG), and memory is planned as if it were whole: set GRPO_VLLM_GPU_MEMORY_UTILIZATION"
        yield Finding("warned", "GPU", said)


def _driver(gpu: GpuSeen) -> Finding:
    major = gpu.driver.partition(".")[0]
    if major.isdecimal() and int(major) >= LEAST_DRIVER:
        return Finding("passed", "driver", f"{gpu.driver} of {gpu.name}")
    return Finding(
        "failed",
        "driver",
        f"{gpu.name} has the driver {gpu.driver}, and the lock's CUDA 13 wants {LEAST_DRIVER} or newer: "
        "a node with a newer driver",
    )


def _generation(gpu: GpuSeen) -> Finding:
    told = f"{gpu.name} has compute capability {gpu.capability[0]}.{gpu.capability[1]}"
    if gpu.capability < LEAST_CAPABILITY:
        return Finding("failed", "GPU", f"{told}, and CUDA 13 begins with 7.5: take a newer GPU (T4, L4, A100, H100)")
    if gpu.capability < BF16_CAPABILITY:
        said = f"{told}: float16 arithmetic, which may overflow; bfloat16 begins with 8.0 (A100, L4, H100)"
        return Finding("warned", "GPU", said)
    return Finding("passed", "GPU", told)


def _memory(gpu: GpuSeen, plan: Plan | None) -> Finding:
    total, used = gpu.memory_mib * MIB, gpu.used_mib * MIB
    needed = plan.memory.total if plan else 0.0
    told = f"{needed / GB:.1f} GB are planned, {(total - used) / GB:.1f} of {total / GB:.1f} GB are free"
    others = f"other processes hold {used / GB:.1f} GB of {gpu.name}: see nvidia-smi, end them or take another GPU"
    if used > IDLE and needed > total - used:
        return Finding("failed", "GPU memory", f"{told}; {others}")
    if used > IDLE:
        return Finding("warned", "GPU memory", f"{told}; {others}")
    return Finding("passed", "GPU memory", told)


def needed_elsewhere(shape: ModelShape, plan_on: Callable[[Gpu], Plan]) -> str:
    """The smallest GPU of `SIZES` on which the run fits, for a check on a machine that has none."""
    for size in SIZES:
        try:
            plan = plan_on(size)
        except InvalidRun:
            continue
        return f"the run fits on an {size.name} ({plan.memory.total / GB:.1f} GB are planned there)"
    return f"{shape.parameters / 1e9:.1f} billion parameters fit on no single GPU with these settings"
