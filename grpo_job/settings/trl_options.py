"""The options of the locked TRL's `GRPOConfig` as settings, without importing TRL.

`trl_options.json` is generated (`python -m tools.list_trl_options`). This file adds what TRL's annotations lack: the
allowed values of strings, the ranges of numbers, and which options the job controls.
"""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import TypeAdapter

from grpo_job.settings.primitives import (
    Allowed,
    Bool,
    Fraction,
    FractionOrNone,
    Integer,
    JsonObject,
    NonNegative,
    NonNegativeInt,
    Number,
    Numbers,
    Positive,
    PositiveInt,
    Text,
    Words,
    allowed_words,
)

# Values that TRL 1.15 and transformers 5.17 accept for a `str` option.
WORDS: dict[str, tuple[str, ...]] = {
    "importance_sampling_level": ("token", "sequence"),
    "include_num_input_tokens_seen": ("all", "non_padding", "no"),
    "loss_type": ("grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "scale_rewards": ("group", "batch", "none"),
    "torch_compile_mode": ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
    "vllm_model_impl": ("vllm", "transformers"),
}
# Schedules that need the trainer's own evaluation, which this job does not run.
NOT_OFFERED = ("greedy", "reduce_lr_on_plateau")

_RANGED: list[tuple[Any, tuple[str, ...]]] = [
    (Positive, (
        "adam_epsilon", "delta", "epsilon", "epsilon_high", "repetition_penalty", "sapo_temperature_neg",
        "sapo_temperature_pos", "vllm_importance_sampling_clip_max",
    )),
    (NonNegative, (
        "beta", "entropy_coef", "neftune_noise_alpha", "off_policy_mask_threshold",
        "vllm_importance_sampling_clip_min",
    )),
    (NonNegativeInt, ("dataloader_num_workers", "top_k")),
    (PositiveInt, (
        "dataloader_prefetch_factor", "ddp_bucket_cap_mb", "ddp_timeout", "pad_to_multiple_of",
        "torch_empty_cache_steps",
    )),
    (FractionOrNone, ("min_p", "top_entropy_quantile")),
    (Fraction, ("top_p",)),
]  # fmt: skip
RANGES: dict[str, Any] = {option: kind for kind, options in _RANGED for option in options}

# What to use instead of options that the job controls.
INSTEAD: dict[str, tuple[str, ...]] = {
    "GRPO_ENGINE": (
        "transformers_continuous_batching_config", "use_cpu", "use_transformers_continuous_batching",
        "use_transformers_paged", "use_vllm",
    ),
    "GRPO_ENGINE; vLLM runs in the job's own process": (
        "vllm_group_port", "vllm_mode", "vllm_server_base_url", "vllm_server_host", "vllm_server_port",
        "vllm_server_timeout",
    ),
    "GRPO_ENTROPY_COEF, which stays as it is": (
        "entropy_coef_delta", "entropy_coef_max", "entropy_coef_min", "entropy_target", "use_adaptive_entropy",
    ),
    "GRPO_EVAL_ROWS": (
        "batch_eval_metrics", "do_eval", "do_predict", "eval_accumulation_steps", "eval_do_concat_batches",
        "eval_use_gather_object", "per_device_eval_batch_size", "prediction_loss_only",
    ),
    "GRPO_EVAL_ROWS controls the evaluation": ("bf16_full_eval", "fp16_full_eval"),
    "GRPO_EVAL_STEPS": ("eval_delay", "eval_strategy"),
    "GRPO_KEEP": ("greater_is_better", "load_best_model_at_end", "metric_for_best_model"),
    "GRPO_LOGGING_STEPS": ("logging_first_step", "logging_strategy"),
    "GRPO_LOG_FORMAT": ("disable_tqdm", "log_on_each_node"),
    "GRPO_MAX_SEQ_LENGTH": ("vllm_max_model_length",),
    "GRPO_MODEL, GRPO_MODEL_REVISION and GRPO_LOAD_IN_4BIT": ("model_init_kwargs",),
    "GRPO_OUTPUT_DIR": ("save_on_each_node",),
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": ("auto_find_batch_size",),
    "GRPO_PROCESSES; the planner uses tensor parallelism if needed": ("vllm_tensor_parallel_size",),
    "GRPO_PROMPT_COLUMN and GRPO_ANSWER_COLUMN": ("remove_unused_columns",),
    "GRPO_PUBLISH_PRIVATE": ("hub_private_repo",),
    "GRPO_PUBLISH_TO": ("hub_always_push", "hub_strategy", "log_completions_hub_repo"),
    "GRPO_PUBLISH_TO=hf://owner/name": ("hub_model_id", "push_to_hub"),
    "GRPO_PUBLISH_TO=hf://owner/name@branch": ("hub_revision",),
    "GRPO_REPORT_TO, and GRPO_RUN_ID for the name in a tracker": ("project",),
    "GRPO_REPORT_TO=trackio": ("trackio_bucket_id", "trackio_space_id", "trackio_static_space_id"),
    "GRPO_RESUME": ("ignore_data_skip", "restore_callback_states_from_checkpoint", "resume_from_checkpoint"),
    "GRPO_REWARDS": ("include_for_metrics",),
    "GRPO_REWARDS=name:weight,...": ("reward_weights",),
    "GRPO_RUN_ID": ("run_name",),
    "GRPO_SAVE_STEPS": ("save_only_model",),
    "GRPO_SAVE_STEPS and GRPO_GRACE_SECONDS": ("enable_jit_checkpoint",),
    "GRPO_SAVE_STEPS and GRPO_SAVE_MINUTES": ("save_strategy",),
    "GRPO_SEED": ("data_seed",),
    "GRPO_SHARD_BASE": ("deepspeed", "fsdp", "fsdp_config"),
    "GRPO_SHUFFLE_DATASET": ("length_column_name", "train_sampling_strategy"),
    "GRPO_STANDBY": ("vllm_enable_sleep_mode",),
    "GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MAX": ("vllm_importance_sampling_cap",),
    "GRPO has no labels; GRPO_ANSWER_COLUMN": ("label_names",),
    "GRPO has no labels; GRPO_ENTROPY_COEF or GRPO_BETA keeps the policy wide": ("label_smoothing_factor",),
    "HF_TOKEN": ("hub_token",),
    "NaN and infinity are logged as they are": ("logging_nan_inf_filter",),
    "`grpo-job run` trains": ("do_train",),
    "a reward for the format, in GRPO_REWARDS": ("vllm_structured_outputs_regex",),
    "code from a model repository is never run": ("trust_remote_code",),
    "completions.jsonl always contains every prompt": ("log_unique_prompts",),
    "completions.jsonl always contains them": ("log_completions", "num_completions_to_print"),
    "held-out rows are answered once, greedily; GRPO_EVAL_ROWS": ("num_generations_eval",),
    "prompts are text; completions.jsonl always contains them": ("log_multimodal",),
    "the base is always evaluated": ("eval_on_start",),
    "the launcher's LOCAL_RANK": ("local_rank",),
    "the launcher's number of processes": ("parallelism_config",),
    "the planner sets the precision; GRPO_LOAD_IN_4BIT sets that of the base": ("bf16", "fp16"),
    "the reference is the base without LoRA; GRPO_BETA weighs it": ("ref_model_mixup_alpha", "ref_model_sync_steps"),
    "the reference is the base without its LoRA; GRPO_BETA weighs it": ("sync_ref_model",),
    "the router is frozen; GRPO_LORA_TARGET_MODULES names what is trained": ("router_aux_loss_coef",),
    "this job does not support tools": ("max_tool_calling_iterations",),
    "vLLM has a cache of its own; GRPO_MAX_SEQ_LENGTH sizes it": ("cache_implementation",),
}  # fmt: skip
OWNED: dict[str, str] = {option: instead for instead, options in INSTEAD.items() for option in options}

# Keys of GRPO_GENERATION_KWARGS, by vLLM's names, and what transformers calls them on a CPU where it knows them.
GENERATION_KEYS: dict[str, str | None] = {
    "allowed_token_ids": None,
    "frequency_penalty": None,
    "logit_bias": None,
    "min_tokens": "min_new_tokens",
    "presence_penalty": None,
}

KINDS: dict[str, Any] = {
    "bool": Bool,
    "int": Integer,
    "float": Number,
    "str": Text,
    "list": Words,
    "floats": Numbers,
    "json": JsonObject,
}


@cache
def options() -> dict[str, dict[str, Any]]:
    """Option name -> {"kind", "optional", "default", "choices"}, as in the locked TRL."""
    loaded: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("trl_options.json").read_text())
    return loaded


def choices(name: str) -> tuple[str, ...]:
    """The allowed values of option `name`; empty if it is not a choice."""
    words = WORDS.get(name) or options()[name]["choices"] or ()
    return tuple(word for word in words if word not in NOT_OFFERED)


def parse(name: str, text: Any) -> Any:
    """The value of option `name` from `text`. Raises pydantic's ValidationError."""
    if options()[name]["optional"] and text == "none":
        return None
    return TypeAdapter(_kind(name)).validate_python(text)


def allowed(name: str) -> str:
    """The allowed values of option `name`, for messages."""
    return allowed_words(_kind(name)) + (", or none" if options()[name]["optional"] else "")


def _kind(name: str) -> Any:
    words = choices(name)
    if words:
        return Annotated[Literal[words], Allowed(", ".join(words))]
    return RANGES.get(name) or KINDS[options()[name]["kind"]]
