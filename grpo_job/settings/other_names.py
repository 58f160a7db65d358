"""Names that people try because TRL, verl, Unsloth's notebooks and others use them, and the settings to use instead."""

import re
from collections.abc import Collection

# The setting, or a sentence -> other names for it, in lower case.
_LISTED = {
    "model": "model_name model_name_or_path model_id model_path base_model base_model_name pretrained_model "
    "pretrained_model_name_or_path checkpoint hf_model tokenizer tokenizer_name tokenizer_path",
    "model_revision": "revision model_commit",
    "max_seq_length": "max_length max_seq_len seq_len seq_length sequence_length context_length max_model_len "
    "max_model_length cutoff_len",
    "load_in_4bit": "load_in_8bit quantization quantize bits use_4bit use_qlora qlora",
    "lora_rank": "lora_r r rank max_lora_rank lora_dim peft_r",
    "lora_alpha": "alpha peft_alpha",
    "lora_target_modules": "target_modules lora_targets lora_modules",
    "dataset": "dataset_name dataset_path dataset_id data data_path data_files train_file train_files train_data "
    "train_dataset training_data rows hf_dataset",
    "dataset_config": "dataset_config_name dataset_subset dataset_name_config subset",
    "dataset_split": "split train_split dataset_train_split",
    "eval_dataset": "eval_file eval_files eval_data val_file val_files val_data validation_file validation_data "
    "test_file test_files test_data val_dataset test_dataset",
    "eval_split": "test_split val_split validation_split dataset_test_split",
    "eval_rows": "eval_batch_size eval_size eval_samples_count max_eval_samples num_eval_samples test_size",
    "eval_steps": "eval_every eval_freq eval_interval eval_frequency test_freq eval_strategy_steps val_interval",
    "prompt_column": "prompt_field prompt_key question_column input_column prompt_name question_field",
    "answer_column": "answer_field answer_key gold_column label_column target_column solution_field "
    "ground_truth_column reference_column response_column",
    "system_prompt": "system_message system system_msg",
    "max_prompt_length": "max_prompt_len prompt_length max_input_length max_prompt_tokens",
    "max_completion_length": "max_new_tokens max_tokens max_completion_tokens max_completion_len completion_length "
    "max_response_length max_response_len response_length max_output_length max_output_tokens max_gen_tokens "
    "generation_max_length max_generation_length",
    "rewards": "reward_weight reward_funcs reward_functions reward_function reward_fn reward_func reward_fns "
    "reward_model reward_names",
    "learning_rate": "lr peak_lr actor_lr policy_lr optim_lr max_lr peak_learning_rate",
    "weight_decay": "wd decay",
    "warmup_steps": "warmup warmup_ratio lr_warmup lr_warmup_steps lr_warmup_ratio num_warmup_steps "
    "lr_warmup_steps_ratio",
    "lr_scheduler_type": "scheduler lr_scheduler lr_schedule schedule scheduler_type lr_decay_style warmup_style",
    "optim": "optimizer optimiser optimizer_name optimizer_type",
    "adam_beta1": "beta1",
    "adam_beta2": "beta2",
    "adam_epsilon": "adam_eps eps",
    "max_grad_norm": "grad_clip gradient_clip gradient_clipping clip_grad grad_norm clip_grad_norm max_norm "
    "grad_clip_norm gradient_clip_val",
    "per_device_train_batch_size": "batch_size batch train_batch_size bs micro_batch_size per_device_batch_size "
    "per_gpu_train_batch_size global_batch_size mini_batch_size ppo_mini_batch_size total_batch_size "
    "ppo_micro_batch_size rollout_batch_size train_micro_batch_size effective_batch_size",
    "gradient_accumulation_steps": "grad_accum gradient_accumulation grad_accumulation grad_accum_steps ga_steps "
    "accumulation_steps accumulate_grad_batches grad_acc grad_acc_steps",
    "num_generations": "group_size n n_generations num_completions num_samples rollout_n rollouts num_rollouts "
    "num_return_sequences generations n_samples n_samples_per_prompt samples_per_prompt num_samples_per_prompt "
    "completions_per_prompt g",
    "max_steps": "steps train_steps num_steps num_train_steps training_steps total_steps total_training_steps "
    "max_iters iterations n_steps max_train_steps num_training_steps max_iterations",
    "num_train_epochs": "epochs epoch num_epochs n_epochs max_epochs total_epochs train_epochs nb_epochs",
    "temperature": "temp sampling_temperature rollout_temperature generation_temperature train_temperature",
    "num_iterations": "mu ppo_epochs inner_epochs num_inner_epochs updates_per_batch",
    "beta": "kl kl_coef kl_beta kl_coeff kl_weight kl_loss_coef kl_penalty init_kl_coef kl_ctl kl_coefficient",
    "epsilon": "clip_ratio clip_epsilon clip_range cliprange clip_eps eps_clip clip clip_ratio_low "
    "epsilon_low cliprange_low ppo_clip",
    "epsilon_high": "clip_ratio_high eps_clip_high cliprange_high clip_high clip_range_high clip_epsilon_high",
    "entropy_coef": "entropy_coeff ent_coef entropy_bonus entropy_weight",
    "loss_type": "loss loss_agg_mode objective",
    "scale_rewards": "normalize_rewards normalise_rewards norm_adv_by_std norm_adv_by_std_in_grpo reward_scaling",
    "seed": "rng random_seed random_state rng_seed rand_seed torch_seed global_seed train_seed",
    "gradient_checkpointing": "use_gradient_checkpointing enable_gradient_checkpointing activation_checkpointing "
    "grad_checkpointing recompute",
    "vllm_gpu_memory_utilization": "gpu_memory_utilization gpu_memory_util gpu_mem_util gpu_util vllm_gpu_memory "
    "vllm_gpu_util gpu_mem_utilization vllm_memory",
    "engine": "backend trainer framework fast_inference use_unsloth device",
    "processes": "num_gpus n_gpus gpus num_processes nproc_per_node n_gpus_per_node world_size gpu_count ngpus "
    "tensor_parallel_size tensor_parallel",
    "logging_steps": "log_every log_interval log_freq log_steps log_frequency",
    "save_steps": "save_every save_freq save_interval checkpoint_steps checkpoint_interval checkpoint_every ckpt_steps "
    "save_frequency",
    "save_total_limit": "keep_checkpoints max_checkpoints max_ckpt_to_keep checkpoints_to_keep",
    "report_to": "logger loggers tracker trackers wandb tracking log_with use_wandb tensorboard mlflow",
    "output_dir": "output out output_path out_dir save_dir save_path checkpoint_dir results_dir default_local_dir "
    "outputs work_dir workdir ckpt_dir",
    "run_id": "experiment experiment_name exp_name wandb_name wandb_run_name trial_name job_name name",
    "publish_to": "hub_repo hub_repo_id hub_id repo_id hf_repo hf_repo_id push_to push_to_hub_model_id upload_to "
    "hub_model publish destination hub s3_bucket bucket hub_model_name",
    "resume": "resume_from resume_mode resume_training auto_resume continue_from resume_path",
    "max_hours": "hours time_limit max_time timeout max_runtime timeout_hours",
    "price_per_hour": "price gpu_price hourly_price cost_per_hour hourly_rate",
    "max_cost": "budget max_price cost_limit cost max_dollars",
    "notify_url": "webhook webhook_url slack_webhook slack_webhook_url slack_url notify notification_url "
    "notify_webhook callback_url discord_webhook_url",
    "log_format": "log_style logging_format log_type",
    "HF_TOKEN or HF_TOKEN_PATH, the library's own variables": "hf_token token hf_token_path huggingface_token "
    "hf_api_token api_token hf_hub_token hugging_face_hub_token",
    "WANDB_API_KEY and WANDB_PROJECT, the library's own variables": "wandb_api_key wandb_key wandb_project "
    "wandb_entity project_name",
    "CUDA_VISIBLE_DEVICES": "cuda_visible_devices gpu gpu_id gpu_ids devices visible_devices",
    "nothing: the LoRA has no dropout": "lora_dropout dropout peft_dropout",
}  # fmt: skip
INSTEAD = {other: right for right, others in _LISTED.items() for other in others.split()}


# Sections of other programs' configurations, which people keep as part of the name.
SECTIONS = re.compile(
    r"^(trainer|training|train|actor|rollout|data|algorithm|trl|unsloth|vllm|model|peft|lora|sampling|generation|optim"
    r"|optimizer|dataset|wandb|hf|args|config|actor_rollout_ref)_"
)


def instead(field: str, known: Collection[str]) -> str | None:
    """What to use in place of `field`, or None if nobody else has such a name; `known` are the settings.

    >>> instead("lr", []), instead("train_seed", ["seed"]), instead("speed", [])
    ('GRPO_LEARNING_RATE', 'GRPO_SEED', None)
    """
    name, rest = "", re.sub(r"[^a-z0-9]+", "_", field).strip("_")
    while rest != name:
        name, rest = rest, SECTIONS.sub("", rest)
        spelt = (INSTEAD.get(one) for one in (name, f"{name}s", name.removesuffix("s")))
        if right := next(filter(None, spelt), name if name in known else None):
            return f"GRPO_{right.upper()}" if right in known or re.fullmatch(r"[a-z0-9_]+", right) else right
    return None
