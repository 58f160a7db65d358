"""What each argument of a GRPO notebook becomes here: by the settings, TRL's options and the refused names."""

import re

from grpo_job.settings import other_names
from grpo_job.settings.recipes import RECIPES
from grpo_job.settings.schema import Settings, known_names, variable
from grpo_job.settings.table import as_text
from grpo_job.settings.trl_options import OWNED

# Where it is written in notebooks of Unsloth and TRL -> the arguments that stand there.
CALLS = {
    "FastLanguageModel.from_pretrained": "model_name max_seq_length load_in_4bit fast_inference max_lora_rank "
    "gpu_memory_utilization",
    "get_peft_model, LoraConfig": "r lora_alpha target_modules lora_dropout use_gradient_checkpointing random_state",
    "load_dataset": "dataset_name subset dataset_split",
    "GRPOConfig": "learning_rate adam_beta1 adam_beta2 weight_decay warmup_ratio warmup_steps lr_scheduler_type optim "
    "max_grad_norm per_device_train_batch_size gradient_accumulation_steps num_generations max_prompt_length "
    "max_completion_length max_steps num_train_epochs num_iterations temperature top_p beta epsilon epsilon_high "
    "loss_type scale_rewards mask_truncated_completions reward_weights use_vllm vllm_mode "
    "vllm_gpu_memory_utilization bf16 gradient_checkpointing logging_steps log_completions save_steps report_to "
    "run_name output_dir push_to_hub hub_model_id resume_from_checkpoint seed remove_unused_columns",
    "GRPOTrainer": "reward_funcs train_dataset eval_dataset",
    "SamplingParams": "max_tokens min_p top_k",
}
KNOWN_BETTER = {  # by where it is written: the name alone means something else elsewhere
    "random_state": "`GRPO_LORA_SEED`; the seed of rows and sampling is `GRPO_SEED`",
}


def rows() -> list[tuple[str, str, str, str]]:
    """Place, argument, what to set here, and its value in the recipe `tutorial`."""
    return [
        (f"`{place}`" if number == 0 else "", f"`{name}`", here(name), tutorial(name))
        for place, names in CALLS.items()
        for number, name in enumerate(names.split())
    ]


def here(name: str) -> str:
    """What to set in place of an argument. Raises `LookupError` for one that nothing is known of.

    >>> here("learning_rate"), here("r"), here("hub_token")
    ('`GRPO_LEARNING_RATE`', '`GRPO_LORA_RANK`', '`HF_TOKEN`')
    """
    known = known_names()
    if name in KNOWN_BETTER:
        return KNOWN_BETTER[name]
    right = variable(name) if name in known else OWNED.get(name) or other_names.instead(name, known)
    if right is None:
        raise LookupError(name)
    return re.sub(r"\b(GRPO_[A-Z0-9_]+(?:=\S*[\w.])?|HF_TOKEN)", r"`\1`", right)


def tutorial(name: str) -> str:
    """The value of the published notebook, where the setting that `name` becomes has one."""
    settings = re.findall(r"`GRPO_(\w+)`", here(name))
    field = settings[0].lower() if settings else ""
    value = RECIPES["tutorial"].get(field) if field in Settings.model_fields and name not in OWNED else None
    return "" if value is None else f"`{as_text(value)}`"
