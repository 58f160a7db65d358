"""Finds settings that conflict with each other; messages show the arithmetic. Pure."""

from collections.abc import Callable, Collection

from grpo_job.settings import option_checks
from grpo_job.settings.global_batch import steps_per_buffer
from grpo_job.settings.schema import Settings


def conflicts(settings: Settings, unknown: Collection[str] = ()) -> list[str]:
    """One message per conflict. Checks that use an `unknown` (invalid) field are skipped."""
    known = (check for check, fields in CHECKS.items() if not fields & set(unknown))
    faults = [fault for check in known if (fault := check(settings))]
    named = " ".join(faults)  # one message per option is enough
    return [*faults, *(fault for fault in option_checks.without_effect(settings) if fault.split()[0] not in named)]


def _one_way_to_size_generation(settings: Settings) -> str | None:
    size, steps = settings.generation_batch_size, settings.steps_per_generation
    if size is None or steps is None:
        return None
    return (
        f"GRPO_GENERATION_BATCH_SIZE={size} and GRPO_STEPS_PER_GENERATION={steps} set the same thing; "
        "allowed: only one of them"
    )


def _size_is_whole_micro_steps(settings: Settings) -> str | None:
    size, batch = settings.generation_batch_size, settings.per_device_train_batch_size
    if size is None or size % batch == 0:
        return None
    return (
        f"GRPO_GENERATION_BATCH_SIZE={size} must be a multiple of GRPO_PER_DEVICE_TRAIN_BATCH_SIZE={batch}; "
        f"allowed: {batch}, {2 * batch}, {3 * batch}, ..."
    )


def _groups_fit_generation(settings: Settings) -> str | None:
    size, group = settings.generation_batch_size, settings.num_generations
    if size is not None:
        sizes, completions = "GRPO_GENERATION_BATCH_SIZE", size
    else:
        batch, micro_steps = settings.per_device_train_batch_size, settings.generation_micro_steps
        by = "STEPS_PER_GENERATION" if settings.steps_per_generation else "GRADIENT_ACCUMULATION_STEPS"
        completions = batch * micro_steps
        plural = "" if micro_steps == 1 else "s"
        sizes = f"GRPO_PER_DEVICE_TRAIN_BATCH_SIZE={batch} × {micro_steps} micro-step{plural} from GRPO_{by}"
    if completions % group == 0:
        return None
    return (
        f"GRPO_NUM_GENERATIONS={group} must divide the generation batch of {completions} completions ({sizes}); "
        f"allowed: a generation batch of {group}, {2 * group}, {3 * group}, ..."
    )


def _generation_fits_steps(settings: Settings) -> str | None:
    micro_steps, accumulation = settings.generation_micro_steps, settings.gradient_accumulation_steps
    if micro_steps * settings.num_iterations % accumulation == 0:
        return None
    return (
        f"GRPO_GRADIENT_ACCUMULATION_STEPS={accumulation} must divide the "
        f"{micro_steps * settings.num_iterations} micro-steps per generation ({micro_steps}, from "
        f"GRPO_STEPS_PER_GENERATION or GRPO_GENERATION_BATCH_SIZE, × GRPO_NUM_ITERATIONS={settings.num_iterations}): "
        "an optimizer step would mix two generations; "
        f"allowed: a multiple of {accumulation} micro-steps"
    )


def _warm_start_fits_generations(settings: Settings) -> str | None:
    steps, each = settings.warm_start_steps, steps_per_buffer(settings)
    if steps % each == 0:
        return None
    return (
        f"GRPO_WARM_START_STEPS={steps} must be a multiple of the {each} optimizer steps that one generation feeds; "
        f"allowed: {each}, {2 * each}, {3 * each}, ..."
    )


def _warm_start_leads_to_a_rate(settings: Settings) -> str | None:
    """The rate of its steps is a multiple of that of the steps after it."""
    if not settings.warm_start_steps or settings.learning_rate != 0:
        return None
    return (
        f"GRPO_WARM_START_STEPS={settings.warm_start_steps} needs a learning rate after it, and GRPO_LEARNING_RATE=0 "
        "is none; allowed: a GRPO_LEARNING_RATE above 0"
    )


def _tokens_fit_sequence(settings: Settings) -> str | None:
    together = settings.max_prompt_length + settings.max_completion_length
    if together <= settings.max_seq_length:
        return None
    return (
        f"GRPO_MAX_PROMPT_LENGTH={settings.max_prompt_length} + GRPO_MAX_COMPLETION_LENGTH="
        f"{settings.max_completion_length} = {together} tokens, more than GRPO_MAX_SEQ_LENGTH="
        f"{settings.max_seq_length}; allowed: a sum of at most GRPO_MAX_SEQ_LENGTH"
    )


def _warmup_fits_steps(settings: Settings) -> str | None:
    if settings.max_steps == -1 or settings.warmup_steps < 1 or settings.warmup_steps < settings.max_steps:
        return None
    return (
        f"GRPO_WARMUP_STEPS={settings.warmup_steps:g} is not less than GRPO_MAX_STEPS={settings.max_steps}: the "
        "learning rate would never reach its peak; allowed: fewer warmup steps, or a share below 1"
    )


def _one_length_of_training(settings: Settings) -> str | None:
    epochs_given = "num_train_epochs" in settings.model_fields_set
    if settings.max_steps == -1 and not epochs_given:
        return "GRPO_MAX_STEPS=-1 needs GRPO_NUM_TRAIN_EPOCHS, which is not set; allowed: set both"
    if settings.max_steps != -1 and epochs_given:
        return (
            f"GRPO_NUM_TRAIN_EPOCHS={settings.num_train_epochs:g} has no effect with "
            f"GRPO_MAX_STEPS={settings.max_steps}; allowed: GRPO_MAX_STEPS=-1"
        )
    return None


def _only_16_bits_are_shared(settings: Settings) -> str | None:
    if not (settings.shard_base is True and settings.load_in_4bit is True):
        return None
    return (
        "GRPO_SHARD_BASE=true conflicts with GRPO_LOAD_IN_4BIT=true: only 16-bit weights can be sharded; "
        "allowed: one of them, the other auto or false"
    )


def _cost_has_a_price(settings: Settings) -> str | None:
    if settings.max_cost is None or settings.price_per_hour is not None:
        return None
    return (
        f"GRPO_MAX_COST={settings.max_cost:g} needs GRPO_PRICE_PER_HOUR, because only hours are measured; "
        "allowed: set both, or GRPO_MAX_HOURS"
    )


def _a_config_has_its_dataset(settings: Settings) -> str | None:
    if settings.eval_dataset_config is None or settings.eval_dataset is not None:
        return None
    return (
        f"GRPO_EVAL_DATASET_CONFIG: {settings.eval_dataset_config!r} was given without GRPO_EVAL_DATASET; "
        "allowed: both, or GRPO_DATASET_CONFIG for the rows of GRPO_DATASET"
    )


def _evaluations_to_decide_by(settings: Settings) -> str | None:
    asked = {"GRPO_KEEP=best": settings.keep == "best", "GRPO_STOP_AT_ACCURACY": settings.stop_at_accuracy is not None}
    given = [name for name, wanted in asked.items() if wanted]
    if not given or settings.eval_steps is not None:
        return None
    needs = "needs" if len(given) == 1 else "need"
    return f"{' and '.join(given)} {needs} evaluations during training; allowed: set GRPO_EVAL_STEPS, such as 25"


def _result_is_not_the_start(settings: Settings) -> str | None:
    start = _plain_address(settings.adapter or "")
    same = [uri for uri in settings.publish_to if settings.adapter and _plain_address(uri) == start]
    if not same:
        return None
    return (
        f"GRPO_PUBLISH_TO: {same[0]} is what GRPO_ADAPTER starts from: the same command would next start from its own "
        "result; allowed: another address, prefix or branch"
    )


def _one_address_to_notify(settings: Settings) -> str | None:
    if settings.notify_url is None or settings.notify_url_path is None:
        return None
    return "GRPO_NOTIFY_URL and GRPO_NOTIFY_URL_PATH set the same thing; allowed: only one of them"


def _plain_address(place: str) -> str:
    return place.removeprefix("file://").removesuffix("@main").rstrip("/")


SIZES = {"per_device_train_batch_size", "generation_batch_size", "steps_per_generation", "gradient_accumulation_steps"}
# Each check, and the fields it uses.
CHECKS: dict[Callable[[Settings], str | None], set[str]] = {
    _one_way_to_size_generation: {"generation_batch_size", "steps_per_generation"},
    _size_is_whole_micro_steps: {"generation_batch_size", "per_device_train_batch_size"},
    _groups_fit_generation: {*SIZES, "num_generations"},
    _generation_fits_steps: {*SIZES, "num_iterations"},
    _warm_start_fits_generations: {*SIZES, "warm_start_steps", "num_iterations"},
    _warm_start_leads_to_a_rate: {"warm_start_steps", "learning_rate"},
    _tokens_fit_sequence: {"max_prompt_length", "max_completion_length", "max_seq_length"},
    _warmup_fits_steps: {"warmup_steps", "max_steps"},
    _one_length_of_training: {"max_steps", "num_train_epochs"},
    _a_config_has_its_dataset: {"eval_dataset_config", "eval_dataset"},
    _evaluations_to_decide_by: {"keep", "stop_at_accuracy", "eval_steps"},
    _result_is_not_the_start: {"adapter", "publish_to"},
    _one_address_to_notify: {"notify_url", "notify_url_path"},
    _only_16_bits_are_shared: {"shard_base", "load_in_4bit"},
    _cost_has_a_price: {"max_cost", "price_per_hour"},
    **option_checks.CHECKS,
}
