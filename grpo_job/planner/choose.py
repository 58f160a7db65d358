"""Chooses the engine for a model on a machine, and what each of its processes runs."""

from collections.abc import Mapping
from typing import Any, Literal

from grpo_job.outcomes import InvalidRun
from grpo_job.planner import plan as plans
from grpo_job.planner.plan import MemoryLimit, Plan
from grpo_job.planner.shapes import Gpu, ModelShape
from grpo_job.runtime.machine import GpuSeen
from grpo_job.runtime.world import ONE, Layout
from grpo_job.settings import global_batch
from grpo_job.settings.schema import Settings

MOST_PARAMETERS_ON_CPU = 200_000_000  # above, one step takes minutes


def choose(
    settings: Settings, config: Mapping[str, Any], gpu_count: int, processes: int = 1
) -> Literal["unsloth", "trl"]:
    """The engine for this model on this machine, for a run of `processes`. `config` is the model's config.json.

    Raises `InvalidRun` where no engine can train it.
    """
    if settings.engine == "unsloth" and gpu_count == 0:
        raise InvalidRun(
            "GRPO_ENGINE: 'unsloth' was given; it needs an NVIDIA GPU, and none is visible: allowed is trl"
        )
    if gpu_count == 0 and (parameters := ModelShape.from_config(config).parameters) > MOST_PARAMETERS_ON_CPU:
        raise InvalidRun(
            f"GRPO_MODEL: {settings.model!r} has {parameters / 1e9:.1f} billion parameters and no NVIDIA GPU is there: "
            "run it on a machine with a GPU, or try the job on this one with GRPO_RECIPE=smoke"
        )
    if settings.engine != "auto":
        return settings.engine
    return "unsloth" if gpu_count and processes == 1 else "trl"


def plan(
    whole: Settings, config: Mapping[str, Any], gpu: GpuSeen, within: MemoryLimit | None = None, layout: Layout = ONE
) -> Plan:
    """What each process of `layout` runs on a `gpu` of its own; `within` counts where it is of this GPU.

    Raises `InvalidRun` with the numbers where the model cannot fit.
    """
    settings = global_batch.share(whole, layout.world)
    tried = within if within and within.gpu == gpu.name else None
    share = settings.vllm_gpu_memory_utilization
    return plans.plan(
        Gpu(gpu.name, gpu.memory_mib * 2**20, gpu.capability),
        ModelShape.from_config(config),
        max_seq_length=settings.max_seq_length,
        max_prompt_length=settings.max_prompt_length,
        max_completion_length=settings.max_completion_length,
        completions_per_step=settings.completions_per_generation,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        lora_rank=settings.lora_rank,
        max_steps=settings.max_steps if settings.max_steps > 0 else 1000,
        load_in_4bit=tried.load_in_4bit if tried else settings.load_in_4bit,
        gpu_memory_utilization=None if share == "auto" else share,
        gradient_checkpointing=settings.gradient_checkpointing,
        standby=settings.standby,
        shard_base=settings.shard_base,
        training_graphs=settings.training_graphs,
        most_bytes=tried.bytes if tried else None,
        separate_base=layout.processes if layout.world > 1 or settings.engine == "trl" else 0,
    )
