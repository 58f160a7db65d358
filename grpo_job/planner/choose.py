"""Chooses the engine for a model on a machine, and what each of its processes runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.planner import plan as plans
from grpo_job.planner.candidates import Work
from grpo_job.planner.plan import Plan
from grpo_job.planner.reasons import Choice
from grpo_job.planner.shapes import Gpu, ModelShape
from grpo_job.planner.wishes import MemoryLimit, Wishes
from grpo_job.runtime.machine import GpuSeen
from grpo_job.runtime.world import ONE, Layout
from grpo_job.settings import engines, global_batch
from grpo_job.settings.engines import ENGINES
from grpo_job.settings.schema import Settings

MOST_PARAMETERS_ON_CPU = 200_000_000  # above, one step takes minutes
# With several processes, what each of them cannot have on a GPU of its own beside 16-bit weights for vLLM.
NOT_ALONE = ("load_in_4bit", "standby", "shard_base")


def choose(
    settings: Settings,
    config: Mapping[str, Any],
    gpu: GpuSeen | None,
    layout: Layout = ONE,
    within: MemoryLimit | None = None,
) -> str:
    """The engine for this model on a machine of `layout`, whose GPUs are as `gpu`; None if it has none.

    `config` is the model's config.json; `within` as for `plan`. Raises `InvalidRun` if the engine cannot run on this
    machine, or if the model is too large for a CPU.
    """
    engine = _engine(settings, config, gpu, within, layout)[0]
    engines.needs(engine, 1 if gpu else 0)
    if gpu is None and (parameters := ModelShape.from_config(config).parameters) > MOST_PARAMETERS_ON_CPU:
        raise InvalidRun(
            f"GRPO_MODEL: {settings.model!r} has {parameters / 1e9:.1f} billion parameters, and no NVIDIA GPU is "
            "visible: use a machine with a GPU, or try the job on this one with GRPO_RECIPE=smoke"
        )
    return engine


def plan(
    whole: Settings, config: Mapping[str, Any], gpu: GpuSeen, within: MemoryLimit | None = None, layout: Layout = ONE
) -> Plan:
    """What each process of `layout` runs on its own `gpu`; `within` counts only if it was found on this GPU.

    Raises `InvalidRun` with the numbers if the model cannot fit.
    """
    engine, reason = _engine(whole, config, gpu, within, layout)
    found = _plan_of(engine, whole, config, gpu, within, layout)
    if layout.world == 1:
        return found
    return replace(found, choices=(Choice("engine", engine, reason, whole.engine != "auto"), *found.choices))


def _engine(
    settings: Settings, config: Mapping[str, Any], gpu: GpuSeen | None, within: MemoryLimit | None, layout: Layout
) -> tuple[str, str]:
    """The engine, and why. In several processes `auto` takes the first whose plan fits each GPU."""
    if settings.engine != "auto":
        return settings.engine, ""
    *others, last = engines.that_run(1 if gpu else 0, layout.world)
    if layout.world == 1 or gpu is None:
        return [*others, last][0], ""
    against = ""
    for engine in others:
        try:
            _plan_of(engine, settings, config, gpu, within, layout)
        except InvalidRun as refusal:
            against = f"not {engine}: {refusal.faults[0].splitlines()[0]}"
        else:
            return engine, "each GPU has room for training and for 16-bit weights of its vLLM: nothing is shared"
    return last, against


def _plan_of(
    engine: str,
    whole: Settings,
    config: Mapping[str, Any],
    gpu: GpuSeen,
    within: MemoryLimit | None,
    layout: Layout,
) -> Plan:
    settings = global_batch.share(whole, layout.world)
    tried = within if within and within.gpu == gpu.name else None
    wishes, separate = _wishes(settings, tried), ENGINES[engine].separate_base
    if alone := layout.world > 1 and not separate:
        _refuse_what_is_shared(wishes, engine)
    return plans.plan(
        Gpu(gpu.name, gpu.memory_mib * 2**20, gpu.capability),
        ModelShape.from_config(config),
        _work(settings),
        wishes,
        most_bytes=tried.bytes if tried else None,
        separate_base=layout.processes if separate else 0,
        copies_alone=alone,
    )


def _refuse_what_is_shared(wishes: Wishes, engine: str) -> None:
    """Raises `InvalidRun` if a wish asks for what processes that share nothing cannot do."""
    for name in NOT_ALONE:
        if getattr(wishes, name) is True:
            raise InvalidRun(
                f"GRPO_{name.upper()}: true was given; in several processes {engine} trains with 16-bit weights of its "
                "own on each GPU; allowed: auto, false, or GRPO_ENGINE=trl"
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
