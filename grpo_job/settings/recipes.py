"""Presets of settings, which the user's own values override.

`gsm8k` (the default) trains on the rows and prompts of the reference run with values and rewards of its own.
`tutorial` is the published reference run with its exact values and rewards. `thinking` is for models that think before
they answer. `smoke` trains the embedded sample on a CPU in a minute.
"""

from typing import Any

SYSTEM_PROMPT = "\nRespond in the following format:\n<reasoning>\n...\n</reasoning>\n<answer>\n...\n</answer>\n"

# How the default recipe learns, and the defaults of these settings.
TRAINING: dict[str, Any] = {
    "max_seq_length": 1024,
    "lora_rank": 32,
    "lora_alpha": 64,
    "max_completion_length": 512,
    "learning_rate": "auto",  # planner/learning_rate.py
    "adam_beta1": 0.9,
    "adam_beta2": 0.99,
    "weight_decay": 0.1,
    "warmup_steps": 0.04,  # 10 of 250; a share, so that GRPO_MAX_STEPS=10 needs no other setting
    "lr_scheduler_type": "linear",
    "optim": "adamw_8bit",
    "max_grad_norm": 1.0,
    "scale_updates": "groups",
    "per_device_train_batch_size": 128,  # 16 prompts
    "gradient_accumulation_steps": 1,
    "num_generations": 8,
    "max_steps": 250,
}

_GSM8K: dict[str, Any] = {
    "model": "unsloth/Qwen2.5-3B-Instruct",
    "lora_target_modules": "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
    "dataset": "openai/gsm8k",
    "dataset_config": "main",
    "dataset_split": "train",
    "eval_split": "test",
    "prompt_column": "question",
    "answer_column": "answer",
    "system_prompt": SYSTEM_PROMPT,
    "max_prompt_length": 256,
    "logging_steps": 1,
    "report_to": "none",
    "lora_seed": 1234,
}

RECIPES: dict[str, dict[str, Any]] = {
    "gsm8k": {
        **_GSM8K,
        **TRAINING,
        # The tags are paid for through answers alone: with weights of their own they are learned without answers.
        "rewards": "correct_anywhere:1,correct:1",
    },
    "tutorial": {
        **_GSM8K,
        "max_seq_length": 1024,
        "lora_rank": 8,
        "lora_alpha": 8,
        "max_completion_length": 200,
        "learning_rate": 5e-6,
        "adam_beta1": 0.9,
        "adam_beta2": 0.99,
        "weight_decay": 0.1,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "cosine",
        "optim": "adamw_8bit",
        "max_grad_norm": 0.1,
        "scale_updates": "none",
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "num_generations": 4,
        "max_steps": 250,
        "engine": "unsloth",
        "example": "off",
        "load_in_4bit": True,
        "gradient_checkpointing": True,
        "standby": True,
        "vllm_gpu_memory_utilization": 0.9,
        "save_steps": 250,
        "output_dir": "outputs",
        "rewards": "xmlcount:1,soft_format:1,strict_format:1,int:1,correctness:1",
    },
    "thinking": {
        **_GSM8K,
        **TRAINING,
        "model": "unsloth/Qwen3-1.7B",
        "system_prompt": "Please reason step by step, and put your final answer within \\boxed{}.",
        "example": "off",  # ours shows the tags
        "max_seq_length": 4096,
        "max_prompt_length": 512,
        "max_completion_length": 3072,
        "per_device_train_batch_size": 64,  # 8 prompts
        "mask_truncated_completions": True,  # a thought that was cut off says nothing of its answer
        "rewards": "correct_anywhere:1,think_format:0.1",
    },
    "smoke": {
        "model": "sample",
        "dataset": "sample",
        "dataset_split": "train",
        "eval_split": "test",
        "eval_rows": 300,
        "max_seq_length": 256,
        "max_prompt_length": 128,
        "max_completion_length": 64,
        "lora_rank": 16,
        "lora_alpha": 32,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "weight_decay": 0,
        "adam_beta2": 0.999,
        "max_grad_norm": 1.0,
        "scale_updates": "none",
        "optim": "adamw_torch",
        "per_device_train_batch_size": 64,
        "num_generations": 8,
        "max_steps": 40,
        "save_steps": 20,
        "rewards": "correct:2,format_tags:0.5",
    },
}
