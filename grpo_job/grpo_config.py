"""The options of the locked TRL's `GRPOConfig` as settings, without importing TRL.

`grpo_config_options.json` is generated (`python -m grpo_job.engines.list_grpo_config`); this
file adds what TRL's annotations do not tell: the accepted words of plain strings, and which
options the job owns.
"""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, FiniteFloat, Json, TypeAdapter

# Words that TRL 1.15 compares a plain `str` option with.
WORDS: dict[str, tuple[str, ...]] = {
    "importance_sampling_level": ("token", "sequence"),
    "loss_type": ("grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "scale_rewards": ("group", "batch", "none"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
    "vllm_model_impl": ("vllm", "transformers"),
}

# Options that the job decides by itself, and the setting to use instead.
OWNED: dict[str, str] = {
    "bf16": "the plan chooses the precision; GRPO_LOAD_IN_4BIT chooses that of the base",
    "fp16": "the plan chooses the precision; GRPO_LOAD_IN_4BIT chooses that of the base",
    "bf16_full_eval": "GRPO_EVAL_ROWS steers the evaluation",
    "fp16_full_eval": "GRPO_EVAL_ROWS steers the evaluation",
    "auto_find_batch_size": "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE",
    "batch_eval_metrics": "GRPO_EVAL_ROWS",
    "do_eval": "GRPO_EVAL_ROWS",
    "do_predict": "GRPO_EVAL_ROWS",
    "do_train": "`grpo-job run` trains, `grpo-job evaluate` does not",
    "enable_jit_checkpoint": "GRPO_SAVE_STEPS and GRPO_GRACE_SECONDS",
    "eval_accumulation_steps": "GRPO_EVAL_ROWS",
    "eval_delay": "GRPO_EVAL_STEPS",
    "eval_do_concat_batches": "GRPO_EVAL_ROWS",
    "eval_on_start": "the base is always evaluated",
    "eval_strategy": "GRPO_EVAL_STEPS",
    "eval_use_gather_object": "GRPO_EVAL_ROWS",
    "greater_is_better": "GRPO_KEEP",
    "hub_always_push": "GRPO_PUBLISH_TO",
    "hub_model_id": "GRPO_PUBLISH_TO=hf://owner/name",
    "hub_private_repo": "GRPO_PUBLISH_PRIVATE",
    "hub_revision": "GRPO_PUBLISH_TO=hf://owner/name@branch",
    "hub_strategy": "GRPO_PUBLISH_TO",
    "hub_token": "HF_TOKEN",
    "ignore_data_skip": "GRPO_RESUME",
    "include_for_metrics": "GRPO_REWARDS",
    "load_best_model_at_end": "GRPO_KEEP",
    "local_rank": "the launcher's LOCAL_RANK",
    "log_completions": "completions.jsonl always holds them",
    "log_completions_hub_repo": "GRPO_PUBLISH_TO",
    "log_on_each_node": "GRPO_LOG_FORMAT",
    "logging_first_step": "GRPO_LOGGING_STEPS",
    "logging_strategy": "GRPO_LOGGING_STEPS",
    "max_tool_calling_iterations": "tools are not part of this job",
    "metric_for_best_model": "GRPO_KEEP",
    "model_init_kwargs": "GRPO_MODEL, GRPO_MODEL_REVISION and GRPO_LOAD_IN_4BIT",
    "num_completions_to_print": "completions.jsonl always holds them",
    "num_generations_eval": "GRPO_EVAL_SAMPLES",
    "per_device_eval_batch_size": "GRPO_EVAL_ROWS",
    "prediction_loss_only": "GRPO_EVAL_ROWS",
    "push_to_hub": "GRPO_PUBLISH_TO=hf://owner/name",
    "remove_unused_columns": "GRPO_PROMPT_COLUMN and GRPO_ANSWER_COLUMN",
    "restore_callback_states_from_checkpoint": "GRPO_RESUME",
    "resume_from_checkpoint": "GRPO_RESUME",
    "run_name": "GRPO_RUN_ID",
    "save_on_each_node": "GRPO_OUTPUT_DIR",
    "save_only_model": "GRPO_SAVE_STEPS",
    "save_strategy": "GRPO_SAVE_STEPS and GRPO_SAVE_MINUTES",
    "trust_remote_code": "code from a model repository is never run",
    "use_cpu": "GRPO_ENGINE",
    "use_transformers_continuous_batching": "GRPO_ENGINE",
    "use_transformers_paged": "GRPO_ENGINE",
    "use_vllm": "GRPO_ENGINE",
    "vllm_group_port": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_importance_sampling_cap": "GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MAX",
    "vllm_mode": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_base_url": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_host": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_port": "GRPO_ENGINE; vLLM runs in the job's own process",
    "vllm_server_timeout": "GRPO_ENGINE; vLLM runs in the job's own process",
}


def split_commas(value: Any) -> Any:
    """`"a, b"` as `["a", "b"]`; anything but text is passed on."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


KINDS: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": FiniteFloat,
    "str": str,
    "list": Annotated[list[str], BeforeValidator(split_commas)],
    "floats": Annotated[list[float], BeforeValidator(split_commas)],
    "json": Json[dict[str, Any]],
}


@cache
def options() -> dict[str, dict[str, Any]]:
    """Option name -> {"kind", "optional", "default", "choices"}, as the locked TRL has it."""
    loaded: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("grpo_config_options.json").read_text())
    return loaded


def parse(name: str, text: Any) -> Any:
    """The value of option `name` written as `text`. Raises pydantic's ValidationError when it is not one."""
    option = options()[name]
    choices = WORDS.get(name) or option["choices"]
    kind: Any = Literal[tuple(choices)] if choices else KINDS[option["kind"]]
    if option["optional"] and text in ("", "none"):
        return None
    return TypeAdapter(kind).validate_python(text)
