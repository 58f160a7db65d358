"""Settings that are each right and do not go together: the arithmetic, said in full.

Pure: a list of sentences, empty when all is well.
"""

from grpo_job.settings import Settings


def conflicts(settings: Settings, processes: int = 1) -> list[str]:
    """Every conflict between settings, for a run on `processes` processes."""
    checks = (
        _groups_fit_batch(settings, processes),
        _buffer_fits_accumulation(settings),
        _tokens_fit_sequence(settings),
        _warmup_fits_steps(settings),
        _one_way_to_size_generation(settings),
        _length_of_training(settings),
    )
    return [fault for fault in checks if fault]


def _groups_fit_batch(settings: Settings, processes: int) -> str | None:
    batch, micro_steps = settings.per_device_train_batch_size, settings.generation_micro_steps
    completions = settings.generation_batch_size or batch * micro_steps * processes
    if completions % settings.num_generations == 0:
        return None
    return (
        f"GRPO_NUM_GENERATIONS={settings.num_generations} does not divide the {completions} completions of a "
        f"generation = {batch} a device (GRPO_PER_DEVICE_TRAIN_BATCH_SIZE) x {micro_steps} micro-steps "
        f"(GRPO_STEPS_PER_GENERATION or GRPO_GRADIENT_ACCUMULATION_STEPS) x {processes} processes; "
        f"allowed: a batch that is a multiple of {settings.num_generations}"
    )


def _buffer_fits_accumulation(settings: Settings) -> str | None:
    micro_steps = settings.generation_micro_steps * settings.num_iterations
    accumulation = settings.gradient_accumulation_steps
    if micro_steps % accumulation == 0:
        return None
    return (
        f"GRPO_GRADIENT_ACCUMULATION_STEPS={accumulation} does not divide the {micro_steps} micro-steps that one "
        f"generation feeds = {settings.generation_micro_steps} (GRPO_STEPS_PER_GENERATION) x "
        f"{settings.num_iterations} (GRPO_NUM_ITERATIONS): an optimizer step would mix two generations; "
        f"allowed: GRPO_STEPS_PER_GENERATION as a multiple of {accumulation}"
    )


def _tokens_fit_sequence(settings: Settings) -> str | None:
    together = settings.max_prompt_length + settings.max_completion_length
    if together <= settings.max_seq_length:
        return None
    return (
        f"GRPO_MAX_PROMPT_LENGTH={settings.max_prompt_length} + GRPO_MAX_COMPLETION_LENGTH="
        f"{settings.max_completion_length} = {together} tokens, more than GRPO_MAX_SEQ_LENGTH="
        f"{settings.max_seq_length}; allowed: together at most GRPO_MAX_SEQ_LENGTH"
    )


def _warmup_fits_steps(settings: Settings) -> str | None:
    if settings.max_steps == -1 or settings.warmup_steps < 1 or settings.warmup_steps <= settings.max_steps:
        return None
    return (
        f"GRPO_WARMUP_STEPS={settings.warmup_steps:g} is more than GRPO_MAX_STEPS={settings.max_steps}: the learning "
        f"rate would never reach its peak; allowed: at most {settings.max_steps}, or a share below 1"
    )


def _one_way_to_size_generation(settings: Settings) -> str | None:
    size, batch = settings.generation_batch_size, settings.per_device_train_batch_size
    if size is None:
        return None
    if settings.steps_per_generation is not None:
        return (
            f"GRPO_GENERATION_BATCH_SIZE={size} and GRPO_STEPS_PER_GENERATION={settings.steps_per_generation} say "
            "the same thing twice; allowed: one of them"
        )
    if size % batch:
        return (
            f"GRPO_GENERATION_BATCH_SIZE={size} is not a multiple of GRPO_PER_DEVICE_TRAIN_BATCH_SIZE={batch}; "
            f"allowed: {batch}, {2 * batch}, {3 * batch}, ..."
        )
    return None


def _length_of_training(settings: Settings) -> str | None:
    if settings.max_steps != -1 or "num_train_epochs" in settings.model_fields_set:
        return None
    return "GRPO_MAX_STEPS=-1 was given without GRPO_NUM_TRAIN_EPOCHS; allowed: a number of steps, or both"
