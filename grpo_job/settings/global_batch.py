"""Divides the global batch, so that any number of processes has the same completions per step. Pure.

B (GRPO_PER_DEVICE_TRAIN_BATCH_SIZE) × A (GRPO_GRADIENT_ACCUMULATION_STEPS) completions are divided among N processes:
each has the same number of micro-steps, fewer or smaller than one process would have, and whole groups.
"""

from grpo_job.settings.schema import Settings


def share(settings: Settings, processes: int) -> Settings:
    """The settings of each process, with sizes per process.

    Reduces micro-steps before micro-batches. Raises `ValueError` if there is a `fault`.

    >>> shared = share(Settings(per_device_train_batch_size=16, gradient_accumulation_steps=2), processes=4)
    >>> shared.per_device_train_batch_size, shared.gradient_accumulation_steps
    (8, 1)
    """
    if processes == 1:
        return settings
    if reason := fault(settings, processes):
        raise ValueError(reason)
    batch, accumulation = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    micro_steps = settings.generation_micro_steps
    pieces = next(
        pieces
        for pieces in range(1, batch + 1)
        if not (batch % pieces or accumulation * pieces % processes or micro_steps * pieces % processes)
    )
    changed = {
        "per_device_train_batch_size": batch // pieces,
        "gradient_accumulation_steps": accumulation * pieces // processes,
        "steps_per_generation": micro_steps * pieces // processes,
        "generation_batch_size": None,
    }
    return settings.model_copy(update=changed)


def fault(settings: Settings, processes: int) -> str | None:
    """Why the completions of a step or a generation cannot be divided; None if they can."""
    if processes == 1:
        return None
    batch, group = settings.per_device_train_batch_size, settings.num_generations
    sizes = f"GRPO_PER_DEVICE_TRAIN_BATCH_SIZE={batch} ×"
    step, generation = settings.completions_per_step, settings.completions_per_generation
    if generation % (processes * group):
        return (
            f"{sizes} {settings.generation_micro_steps} (micro-steps per generation) = {generation} completions cannot "
            f"be divided into whole groups of GRPO_NUM_GENERATIONS={group} for each of {processes} processes; allowed: "
            f"{_multiples(processes * group)} completions per generation, or fewer GRPO_PROCESSES"
        )
    if step % processes:
        return (
            f"{sizes} GRPO_GRADIENT_ACCUMULATION_STEPS={settings.gradient_accumulation_steps} = {step} completions per "
            f"step cannot be divided among {processes} processes; allowed: {_multiples(processes)} completions per "
            "step, or fewer GRPO_PROCESSES"
        )
    return None


def _multiples(number: int) -> str:
    return f"{number}, {2 * number}, {3 * number}, ..."


def planned_steps(settings: Settings, rows: int) -> int:
    """Optimizer steps of the whole run, warm start included; `num_train_epochs` counts epochs over all `rows`."""
    if settings.max_steps > 0:
        return settings.warm_start_steps + settings.max_steps
    return settings.warm_start_steps + max(
        1, round(settings.num_train_epochs * rows * settings.num_iterations / settings.groups_per_step)
    )


def steps_per_buffer(settings: Settings) -> int:
    """Optimizer steps that one batch of generated completions feeds."""
    return max(1, settings.generation_micro_steps * settings.num_iterations // settings.gradient_accumulation_steps)
