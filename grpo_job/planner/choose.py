"""Chooses the engine for a model on a machine, and what each of its processes runs."""

from collections.abc import Mapping
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.planner import plan as plans
from grpo_job.planner.candidates import Work
from grpo_job.planner.plan import MemoryLimit, Plan, Wishes
from grpo_job.planner.shapes import Gpu, ModelShape
from grpo_job.runtime.machine import GpuSeen
from grpo_job.runtime.world import ONE, Layout
from grpo_job.settings import engines, global_batch
from grpo_job.settings.engines import ENGINES
from grpo_job.settings.schema import Settings

MOST_PARAMETERS_ON_CPU = 200_000_000  # above, one step takes minutes


def choose(settings: Settings, config: Mapping[str, Any], gpu_count: int, processes: int = 1) -> str:
    """The engine for this model on this machine, for a run of `processes`. `config` is the model's config.json.

    Raises `InvalidRun` if the engine cannot run on this machine, or if the model is too large for a CPU.
    """
    engine = _wished_or_first(settings, gpu_count, processes)
    engines.needs(engine, gpu_count)
    if gpu_count == 0 and (parameters := ModelShape.from_config(config).parameters) > MOST_PARAMETERS_ON_CPU:
        raise InvalidRun(
            f"GRPO_MODEL: {settings.model!r} has {parameters / 1e9:.1f} billion parameters, and no NVIDIA GPU is "
            "visible: use a machine with a GPU, or try the job on this one with GRPO_RECIPE=smoke"
        )
    return engine


def _wished_or_first(settings: Settings, gpu_count: int, processes: int) -> str:
    return engines.that_run(gpu_count, processes)[0] if settings.engine == "auto" else settings.engine


def plan(
    whole: Settings, config: Mapping[str, Any], gpu: GpuSeen, within: MemoryLimit | None = None, layout: Layout = ONE
) -> Plan:
    """What each process of `layout` runs on its own `gpu`; `within` counts only if it was found on this GPU.

    Raises `InvalidRun` with the numbers if the model cannot fit.
    """
    settings = global_batch.share(whole, layout.world)
    tried = within if within and within.gpu == gpu.name else None
    engine = _wished_or_first(settings, 1, layout.world)
    return plans.plan(
        Gpu(gpu.name, gpu.memory_mib * 2**20, gpu.capability),
        ModelShape.from_config(config),
        _work(settings),
        _wishes(settings, tried),
        most_bytes=tried.bytes if tried else None,
        separate_base=layout.processes if ENGINES[engine].separate_base else 0,
    )


def _work(settings: Settings) -> Work:
    return Work(
        max_seq_length=settings.max_seq_length,
        max_prompt_length=settings.max_prompt_length,
        max_completion_length=settings.max_completion_length,
        completions=settings.completions_per_generation,
        micro_batch_limit=settings.per_device_train_batch_size,
        lora_rank=settings.lora_rank,
        max_steps=settings.max_steps if settings.max_steps > 0 else 1000,
    )


def _wishes(settings: Settings, tried: MemoryLimit | None) -> Wishes:
    return Wishes(
        load_in_4bit=tried.load_in_4bit if tried else settings.load_in_4bit,
        gradient_checkpointing=settings.gradient_checkpointing,
        standby=settings.standby,
        shard_base=settings.shard_base,
        training_graphs=settings.training_graphs,
        rollout_weights=settings.rollout_weights,
        gpu_memory_utilization=settings.vllm_gpu_memory_utilization,
    )
