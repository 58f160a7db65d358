"""Settings -> the arguments of GRPOConfig, as a plain dict. Pure; imports nothing heavy."""

from collections.abc import Mapping
from typing import Any

from grpo_job.planner import learning_rate
from grpo_job.planner.plan import Plan
from grpo_job.settings import schedules
from grpo_job.settings.schema import Settings
from grpo_job.settings.trl_options import BITSANDBYTES_ADAM, GENERATION_KEYS, JOB_DEFAULTS, generation_keys, options

# Settings that GRPOConfig also has but that mean here what CONTRACTS says; the engine sets these itself.
NOT_PASSED = frozenset(
    {
        "save_steps", "save_total_limit", "output_dir", "eval_steps", "gradient_checkpointing",
        "vllm_gpu_memory_utilization",
    }
)  # fmt: skip
# TRL normalizes bnpo over one micro-batch, which the plan and the number of processes divide; over all completions of a
# step, as Unsloth does, it is dapo.
SAME_ON_EVERY_ENGINE = {"bnpo": "dapo"}


def grpo_arguments(
    settings: Settings, config: Mapping[str, Any], *, steps: int, reward_weights: list[float]
) -> dict[str, Any]:
    """Every option that is the same on all engines.

    `config` is the model's config.json, `steps` the resolved number of optimizer steps. Checkpoints are the callback's
    decision (`save_strategy="no"`), so that one is due by steps or by minutes.
    """
    named = {
        name: getattr(settings, name) for name in Settings.model_fields if name in options() and name not in NOT_PASSED
    }
    if settings.generation_batch_size is None:
        named["steps_per_generation"] = settings.generation_micro_steps
    return {
        **named,
        "learning_rate": learning_rate.peak(settings.learning_rate, config),
        "ddp_find_unused_parameters": False,  # every LoRA learns in every step
        **JOB_DEFAULTS,
        **settings.grpo_config,
        **_loss(settings.grpo_config.get("loss_type")),
        "generation_kwargs": generation_keys(settings.grpo_config.get("generation_kwargs") or {}),
        "lr_scheduler_kwargs": schedules.values(settings.grpo_config.get("lr_scheduler_kwargs") or {}),
        "max_steps": steps,
        "report_to": "none",  # the job's own listener tells the trackers
        "reward_weights": reward_weights,
        "save_strategy": "no",
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "log_completions": False,
    }


def _loss(asked: str | None) -> dict[str, str]:
    return {"loss_type": SAME_ON_EVERY_ENGINE.get(asked, asked)} if asked else {}


def on_cpu(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same arguments where there is no GPU: fp32, no recomputation, no 8-bit optimizer states."""
    return {
        **arguments,
        "optim": "adamw_torch" if arguments["optim"] in BITSANDBYTES_ADAM else arguments["optim"],
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "use_vllm": False,
        "generation_kwargs": for_transformers(arguments.get("generation_kwargs") or {}),
        "dataloader_pin_memory": False,
    }


def for_transformers(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of GRPO_GENERATION_KWARGS under transformers' names; preflight refuses those that only vLLM knows."""
    return {str(GENERATION_KEYS[name][1]): value for name, value in asked.items()}


def reads_log_probs(args: Any) -> bool:
    """Whether anything of a GRPOConfig compares vLLM's log-probabilities with the trainer's."""
    return bool(args.vllm_importance_sampling_correction or args.off_policy_mask_threshold is not None)


def on_gpu(arguments: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The same arguments as the plan has them, with vLLM in the process."""
    return {
        **arguments,
        **_micro_batches(arguments, plan),
        "use_vllm": True,
        "vllm_mode": "colocate",
        "bf16": plan.dtype == "bfloat16",
        "fp16": plan.dtype == "float16",
        "gradient_checkpointing": plan.gradient_checkpointing,
    }


def _micro_batches(arguments: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The plan's micro-batch with as many micro-steps as it takes: the same completions a step and a generation."""
    split = arguments["per_device_train_batch_size"] // plan.micro_batch_size
    changed = {
        "per_device_train_batch_size": plan.micro_batch_size,
        "gradient_accumulation_steps": arguments["gradient_accumulation_steps"] * split,
    }
    if arguments.get("generation_batch_size") is None:
        steps = arguments.get("steps_per_generation") or arguments["gradient_accumulation_steps"]
        changed["steps_per_generation"] = steps * split
    return changed
