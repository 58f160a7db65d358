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

RANGES: dict[str, Any] = {
    "adam_epsilon": Positive,
    "beta": NonNegative,
    "dataloader_num_workers": NonNegativeInt,
    "dataloader_prefetch_factor": PositiveInt,
    "ddp_bucket_cap_mb": PositiveInt,
    "ddp_timeout": PositiveInt,
    "delta": Positive,
    "entropy_coef": NonNegative,
    "epsilon": Positive,
    "epsilon_high": Positive,
    "min_p": FractionOrNone,
    "neftune_noise_alpha": NonNegative,
    "off_policy_mask_threshold": NonNegative,
    "pad_to_multiple_of": PositiveInt,
    "repetition_penalty": Positive,
    "sapo_temperature_neg": Positive,
    "sapo_temperature_pos": Positive,
    "top_entropy_quantile": FractionOrNone,
    "top_k": NonNegativeInt,
    "top_p": Fraction,
    "torch_empty_cache_steps": PositiveInt,
    "vllm_importance_sampling_clip_max": Positive,
    "vllm_importance_sampling_clip_min": NonNegative,
}

# Options that the job controls, and the setting to use instead.
OWNED: dict[str, str] = {
    "auto_find_batch_size": "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE",
    "batch_eval_metrics": "GRPO_EVAL_ROWS",
    "bf16": "the planner sets the precision; GRPO_LOAD_IN_4BIT sets that of the base",
    "bf16_full_eval": "GRPO_EVAL_ROWS controls the evaluation",
    "cache_implementation": "vLLM has a cache of its own; GRPO_MAX_SEQ_LENGTH sizes it",
    "data_seed": "GRPO_SEED",
    "deepspeed": "GRPO_SHARD_BASE",
    "disable_tqdm": "GRPO_LOG_FORMAT",
    "do_eval": "GRPO_EVAL_ROWS",
    "do_predict": "GRPO_EVAL_ROWS",
    "do_train": "`grpo-job run` trains",
    "enable_jit_checkpoint": "GRPO_SAVE_STEPS and GRPO_GRACE_SECONDS",
    "entropy_coef_delta": "GRPO_ENTROPY_COEF, which stays as it is",
    "entropy_coef_max": "GRPO_ENTROPY_COEF, which stays as it is",
    "entropy_coef_min": "GRPO_ENTROPY_COEF, which stays as it is",
    "entropy_target": "GRPO_ENTROPY_COEF, which stays as it is",
    "eval_accumulation_steps": "GRPO_EVAL_ROWS",
    "eval_delay": "GRPO_EVAL_STEPS",
    "eval_do_concat_batches": "GRPO_EVAL_ROWS",
    "eval_on_start": "the base is always evaluated",
    "eval_strategy": "GRPO_EVAL_STEPS",
    "eval_use_gather_object": "GRPO_EVAL_ROWS",
    "fp16": "the planner sets the precision; GRPO_LOAD_IN_4BIT sets that of the base",
    "fp16_full_eval": "GRPO_EVAL_ROWS controls the evaluation",
    "fsdp": "GRPO_SHARD_BASE",
    "fsdp_config": "GRPO_SHARD_BASE",
    "greater_is_better": "GRPO_KEEP",
    "hub_always_push": "GRPO_PUBLISH_TO",
    "hub_model_id": "GRPO_PUBLISH_TO=hf://owner/name",
    "hub_private_repo": "GRPO_PUBLISH_PRIVATE",
    "hub_revision": "GRPO_PUBLISH_TO=hf://owner/name@branch",
    "hub_strategy": "GRPO_PUBLISH_TO",
    "hub_token": "HF_TOKEN",
    "ignore_data_skip": "GRPO_RESUME",
    "include_for_metrics": "GRPO_REWARDS",
    "label_names": "GRPO has no labels; GRPO_ANSWER_COLUMN",
    "label_smoothing_factor": "GRPO has no labels; GRPO_ENTROPY_COEF or GRPO_BETA keeps the policy wide",
    "length_column_name": "GRPO_SHUFFLE_DATASET",
    "load_best_model_at_end": "GRPO_KEEP",
    "local_rank": "the launcher's LOCAL_RANK",
    "log_completions": "completions.jsonl always contains them",
    "log_completions_hub_repo": "GRPO_PUBLISH_TO",
    "log_multimodal": "prompts are text; completions.jsonl always contains them",
    "log_on_each_node": "GRPO_LOG_FORMAT",
    "log_unique_prompts": "completions.jsonl always contains every prompt",
    "logging_first_step": "GRPO_LOGGING_STEPS",
    "logging_nan_inf_filter": "NaN and infinity are logged as they are",
    "logging_strategy": "GRPO_LOGGING_STEPS",
    "max_tool_calling_iterations": "this job does not support tools",
    "metric_for_best_model": "GRPO_KEEP",
    "model_init_kwargs": "GRPO_MODEL, GRPO_MODEL_REVISION and GRPO_LOAD_IN_4BIT",
    "num_completions_to_print": "completions.jsonl always contains them",
    "num_generations_eval": "held-out rows are answered once, greedily; GRPO_EVAL_ROWS",
    "parallelism_config": "the launcher's number of processes",
    "per_device_eval_batch_size": "GRPO_EVAL_ROWS",
    "prediction_loss_only": "GRPO_EVAL_ROWS",
    "project": "GRPO_REPORT_TO, and GRPO_RUN_ID for the name in a tracker",
    "push_to_hub": "GRPO_PUBLISH_TO=hf://owner/name",
    "ref_model_mixup_alpha": "the reference is the base without LoRA; GRPO_BETA weighs it",
    "ref_model_sync_steps": "the reference is the base without LoRA; GRPO_BETA weighs it",
    "remove_unused_columns": "GRPO_PROMPT_COLUMN and GRPO_ANSWER_COLUMN",
    "restore_callback_states_from_checkpoint": "GRPO_RESUME",
    "resume_from_checkpoint": "GRPO_RESUME",
    "reward_weights": "GRPO_REWARDS=name:weight,...",
    "router_aux_loss_coef": "the router is frozen; GRPO_LORA_TARGET_MODULES names what is trained",
    "run_name": "GRPO_RUN_ID",
    "save_on_each_node": "GRPO_OUTPUT_DIR",
    "save_only_model": "GRPO_SAVE_STEPS",
    "save_strategy": "GRPO_SAVE_STEPS and GRPO_SAVE_MINUTES",
    "sync_ref_model": "the reference is the base without its LoRA; GRPO_BETA weighs it",
    "trackio_bucket_id": "GRPO_REPORT_TO=trackio",
    "trackio_space_id": "GRPO_REPORT_TO=trackio",
    "trackio_static_space_id": "GRPO_REPORT_TO=trackio",
    "train_sampling_strategy": "GRPO_SHUFFLE_DATASET",
    "transformers_continuous_batching_config": "GRPO_ENGINE",
    "trust_remote_code": "code from a model repository is never run",
    "use_adaptive_entropy": "GRPO_ENTROPY_COEF, which stays as it is",
    "use_cpu": "GRPO_ENGINE",
    "use_transformers_continuous_batching": "GRPO_ENGINE",
    "use_transformers_paged": "GRPO_ENGINE",
    "use_vllm": "GRPO_ENGINE",
    "vllm_enable_sleep_mode": "GRPO_STANDBY",
    "vllm_group_port": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_importance_sampling_cap": "GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MAX",
    "vllm_max_model_length": "GRPO_MAX_SEQ_LENGTH",
    "vllm_mode": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_base_url": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_host": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_port": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_timeout": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_structured_outputs_regex": "a reward for the format, in GRPO_REWARDS",
    "vllm_tensor_parallel_size": "GRPO_PROCESSES; the planner uses tensor parallelism if needed",
}

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
