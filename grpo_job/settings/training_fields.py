"""The settings of model, data, rewards and training; the others are in `fields.py`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from grpo_job.settings import engines
from grpo_job.settings.primitives import (
    Decay,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Text,
    operational,
    setting,
)
from grpo_job.settings.recipes import TRAINING
from grpo_job.settings.types import (
    BoolAuto,
    EngineName,
    Epochs,
    Example,
    FractionAuto,
    Group,
    Modules,
    NonNegativeAuto,
    Optimizer,
    OptionalPositive,
    OptionalPositiveInt,
    OptionalSource,
    OptionalText,
    PositiveIntAuto,
    RewardOptions,
    Rewards,
    SamplePrompts,
    Schedule,
    Seed,
    Steps,
    SystemPrompt,
    Trackers,
    Warmup,
)


class TrainingFields(BaseModel):
    """What is trained, on what, by which rewards and how, by group."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    # model
    recipe: Text = operational("gsm8k", "preset of settings: gsm8k, tutorial, thinking or smoke")
    config: OptionalText = operational(None, "YAML, TOML or env file of settings, which the environment overrides")
    engine: EngineName = setting("auto", engines.meaning())
    processes: PositiveIntAuto = operational("auto", "processes on this machine; auto: one per GPU, or one on CPU")
    model: Text = setting("unsloth/Qwen2.5-3B-Instruct", "Hub id, folder, or `sample` (embedded, for smoke runs)")
    model_revision: OptionalText = setting(None, "branch, tag or commit of the model; the resolved commit is recorded")
    adapter: OptionalSource = setting(None, "LoRA adapter to start from and to compare with: a URI or a folder")
    max_seq_length: PositiveInt = setting(TRAINING["max_seq_length"], "maximum tokens of prompt plus completion")
    load_in_4bit: BoolAuto = setting("auto", "load the base in 4 bits; auto: only if 16 bits do not fit")
    lora_rank: PositiveInt = setting(TRAINING["lora_rank"], "rank of the LoRA matrices")
    lora_alpha: PositiveInt = setting(TRAINING["lora_alpha"], "LoRA scale is alpha / rank")
    lora_target_modules: Modules = setting(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), "linear layers to apply LoRA to"
    )
    lora_seed: Seed = setting(1234, "seed of the initial LoRA weights")
    shard_base: BoolAuto = operational(
        "auto", "shard the base over a machine's GPUs for training (FSDP); auto: decided by the memory planner"
    )
    rollout_weights: Literal["auto", "folded", "rounded", "lora"] = setting(
        "auto",
        "how vLLM applies the LoRA in training: folded into its 16-bit weights, rounded (folded with a dither), or "
        "lora (LoRA kernels); auto: decided by the memory planner",
    )
    standby: BoolAuto = operational("auto", "vLLM frees its memory while training; auto: decided by the memory planner")
    training_graphs: BoolAuto = operational(
        "auto", "unsloth runs forward and backward as CUDA graphs; auto: if steps are small and many"
    )

    # data
    dataset: Text = setting("openai/gsm8k", "Hub id, s3:// prefix, file or folder, or `sample`")
    dataset_config: OptionalText = setting(None, "configuration of a Hub dataset, or one that a folder's README names")
    dataset_split: Text = setting("train", "split to train on")
    dataset_revision: OptionalText = setting(None, "branch, tag or commit of the dataset on the Hub")
    eval_dataset: OptionalText = setting(None, "separate held-out rows: Hub id, s3:// prefix, file or folder")
    eval_dataset_config: OptionalText = setting(None, "configuration of the held-out rows' dataset")
    eval_split: OptionalText = setting(None, "split to evaluate on; default: test if it exists, else part of the rows")
    eval_rows: PositiveInt = setting(
        2000, "maximum held-out rows to evaluate before and after training, drawn by the seed"
    )
    measure: Text = setting("auto", "measure of the verdict: a reward's name; auto: right answers, or all rewards")
    eval_samples: PositiveInt = setting(1, "completions per held-out row for avg@k and pass@k; 1: greedy only")
    eval_steps: OptionalPositiveInt = setting(None, "steps between evaluations; none: only before and after training")
    eval_steps_rows: PositiveInt = setting(
        64, "rows per evaluation during training: taken out of the training rows by the seed, never trained on"
    )
    keep: Literal["last", "best"] = setting(
        "last",
        "adapter to keep: that of the last step, or the best, if better by more than a standard error",
    )
    stop_at_accuracy: OptionalPositive = setting(
        None, "stop once the lower bound of the measure on the rows of GRPO_EVAL_STEPS reaches this"
    )
    sample_prompts: SamplePrompts = operational(
        "How many r's are in strawberry?",
        "questions that base and adapter answer side by side, separated by |; or none",
    )
    prompt_column: Text = setting("question", "column with the question or messages; `outer.inner`: a nested column")
    answer_column: Text = setting(
        "answer", "column with the right answer or several; of GSM8K's answers, the part after ####"
    )
    system_prompt: SystemPrompt = setting("", "system message before each question, or a file with it; empty for none")
    chat_template: OptionalText = setting(
        None, "chat template of the prompts: a Jinja file, or `plain` for a base without one; default: the model's"
    )
    example: Example = setting(
        "auto",
        "worked example at the end of the system message: a text or a file; auto: a built-in one, if the base answers "
        "correctly but never in the tags; off: none",
    )
    max_prompt_length: PositiveInt = setting(256, "rows with longer prompts, in tokens, are left out and counted")

    # rewards
    rewards: Rewards = setting((("correct", 2.0),), "reward functions and weights, `name:weight,...`")
    reward_options: RewardOptions = setting({}, 'parameters of rewards, JSON by name: {"brief": {"longest": 200}}')
    reward_path: OptionalText = setting(None, "folder added to the Python path for custom rewards")
    reward_timeout_seconds: Positive = operational(60.0, "a reward that takes longer for one batch ends the run")

    # training, with the names of GRPOConfig
    learning_rate: NonNegativeAuto = setting(
        TRAINING["learning_rate"],
        "peak learning rate; auto: 3e-4 × 576 / hidden size of the model, from 2e-5 to 4e-4 (measured at 135M only)",
    )
    adam_beta1: Decay = setting(TRAINING["adam_beta1"], "decay of Adam's first moment")
    adam_beta2: Decay = setting(TRAINING["adam_beta2"], "decay of Adam's second moment")
    weight_decay: NonNegative = setting(TRAINING["weight_decay"], "weight decay")
    warmup_steps: Warmup = setting(TRAINING["warmup_steps"], "warmup steps; below 1, a share of all steps")
    lr_scheduler_type: Schedule = setting(TRAINING["lr_scheduler_type"], "learning-rate schedule")
    optim: Optimizer = setting(TRAINING["optim"], "optimizer; 8-bit optimizers become adamw_torch on CPU")
    max_grad_norm: NonNegative = setting(TRAINING["max_grad_norm"], "maximum gradient norm, for clipping")
    scale_updates: Literal["groups", "none"] = setting(
        TRAINING["scale_updates"],
        "groups: each step's learning rate × √(share of its groups with a reward std above zero); none: as TRL",
    )
    per_device_train_batch_size: PositiveInt = setting(
        TRAINING["per_device_train_batch_size"], "completions per micro-step over all processes"
    )
    gradient_accumulation_steps: PositiveInt = setting(
        TRAINING["gradient_accumulation_steps"], "micro-steps per optimizer step"
    )
    num_generations: Group = setting(TRAINING["num_generations"], "completions sampled per prompt")
    max_completion_length: PositiveInt = setting(TRAINING["max_completion_length"], "maximum tokens of a completion")
    max_steps: Steps = setting(TRAINING["max_steps"], "optimizer steps; -1: use num_train_epochs")
    num_train_epochs: Epochs = setting(1.0, "epochs over the training rows if max_steps is -1")
    temperature: Positive = setting(1.0, "sampling temperature during training")
    warm_start_steps: NonNegativeInt = setting(
        0,
        "supervised steps on the rows' worked solutions before GRPO, in the format of prompt and rewards; 0: none",
    )
    warm_start_learning_rate: Positive = setting(1e-4, "constant learning rate of the warm start")
    solution_column: OptionalText = setting(
        None, "column with the worked solution for the warm start; default: the part of GRPO_ANSWER_COLUMN before ####"
    )
    num_iterations: PositiveInt = setting(1, "optimization iterations per batch of completions")
    steps_per_generation: OptionalPositiveInt = setting(
        None, "micro-steps per batch of completions; default: gradient_accumulation_steps"
    )
    generation_batch_size: OptionalPositiveInt = setting(
        None, "completions per generation over all processes; instead of steps_per_generation"
    )
    dynamic_sampling: NonNegativeInt = setting(
        0, "further rounds per generation that replace groups with zero reward std by fresh prompts; 0: none"
    )
    skip_solved: NonNegativeInt = setting(
        0, "epochs for which a row is skipped after a group with zero reward std; 0: none"
    )
    gradient_checkpointing: BoolAuto = operational(
        "auto", "recompute activations to save memory; auto: decided by the memory planner"
    )
    vllm_gpu_memory_utilization: FractionAuto = operational(
        "auto", "share of GPU memory for vLLM; auto: decided by the memory planner"
    )
    logging_steps: PositiveInt = operational(1, "steps between logged metrics")
    seed: Seed = setting(42, "seed of the order and choice of rows, and of sampling")
    report_to: Trackers = operational((), "trackers: wandb, tensorboard, mlflow, trackio")
    grpo_config: dict[str, Any] = Field({}, description="the other GRPOConfig options that were given")
