"""Every setting: name, type, default, description.

The field `max_steps` is the variable `GRPO_MAX_STEPS`. Fields shared with TRL's `GRPOConfig` keep its names and
meanings; its other options are in `grpo_config`. Parsing is in `reader.py`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from grpo_job.settings import engines, schemes
from grpo_job.settings.primitives import (
    Bool,
    Decay,
    Fraction,
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
    IpAddress,
    KeyPath,
    Modules,
    NonNegativeAuto,
    NotifyUrl,
    NotifyUrlPath,
    Optimizer,
    OptionalFraction,
    OptionalPort,
    OptionalPositive,
    OptionalPositiveInt,
    OptionalSource,
    OptionalText,
    Place,
    Places,
    PositiveAuto,
    PositiveIntAuto,
    RewardOptions,
    Rewards,
    RunId,
    SamplePrompts,
    Schedule,
    Seed,
    Steps,
    SystemPrompt,
    Trackers,
    Warmup,
)


class Fields(BaseModel):
    """All settings of one run, by group."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    # model
    recipe: Text = operational("gsm8k", "preset of settings: gsm8k, tutorial, thinking or smoke")
    config: OptionalText = operational(None, "YAML, TOML or env file of settings, which the environment overrides")
    engine: EngineName = setting("auto", engines.meaning())
    processes: PositiveIntAuto = operational("auto", "processes on this machine; auto: one per GPU, or one on CPU")
    model: Text = setting("unsloth/Qwen2.5-3B-Instruct", "Hub id, folder, or `sample` (embedded, for smoke runs)")
    model_revision: OptionalText = setting(None, "branch, tag or commit of the model; the resolved commit is recorded")
    adapter: OptionalSource = setting(
        None, "LoRA adapter to start from, which is then what is compared with: an address or a folder"
    )
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
        "how vLLM gets the LoRA for completions to train on: folded into its 16-bit weights, rounded to them with a "
        "dither, or lora, unfolded; auto: decided by the planner",
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
        2000, "held-out rows to evaluate before and after training at most, drawn by the seed"
    )
    measure: Text = setting("auto", "what the verdict is about: a reward's name, or auto: right answers or all rewards")
    eval_samples: PositiveInt = setting(1, "completions per held-out row for avg@k and pass@k; 1: greedy only")
    eval_steps: OptionalPositiveInt = setting(None, "steps between evaluations; none: only before and after training")
    eval_steps_rows: PositiveInt = setting(
        64, "rows per evaluation during training: taken out of the training rows by the seed, never trained on"
    )
    keep: Literal["last", "best"] = setting(
        "last",
        "which adapter is the result: that of the last step, or one that leads it by more than a standard error",
    )
    stop_at_accuracy: OptionalFraction = setting(
        None, "stop once the lower end of the measure's interval on the rows of GRPO_EVAL_STEPS reaches this"
    )
    sample_prompts: SamplePrompts = operational(
        "How many r's are in strawberry?",
        "questions that base and adapter answer side by side, separated by |; or none",
    )
    prompt_column: Text = setting("question", "column with the question or messages; `outer.inner`: one in another")
    answer_column: Text = setting("answer", r"column with the right answer or several; of `work #### 72`: 72")
    system_prompt: SystemPrompt = setting("", "system message before each question, or its file; empty for none")
    chat_template: OptionalText = setting(
        None, "chat template of the prompts: a Jinja file, or `plain` for a base without one; default: the model's"
    )
    example: Example = setting(
        "auto",
        "worked example that ends the system message: a text or a file; auto: one of ours, if the base has right "
        "answers but never in the tags; off: none",
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
        "supervised steps on the rows' worked solutions before those of GRPO, in the format that prompt and rewards "
        "ask for; 0: none",
    )
    warm_start_learning_rate: Positive = setting(1e-4, "constant learning rate of the warm start")
    solution_column: OptionalText = setting(
        None, "column with the worked solution for the warm start; default: of GRPO_ANSWER_COLUMN what is before ####"
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
        0, "passes that a row misses after a group with zero reward std, always right or always wrong; 0: none"
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

    # the run
    run_id: RunId = operational(
        None, "name of the run; default: derived from the training rows and the settings that change the result"
    )
    output_dir: Text = operational("outputs", "folder for run folders")
    cache_dir: Text = operational("~/.cache/grpo-job", "folder for compiled kernels, reused by later runs")
    resume: Literal["auto", "never"] = operational("auto", "auto: from the newest valid checkpoint; never: restart")
    save_steps: PositiveInt = operational(25, "steps between checkpoints")
    save_minutes: Positive = operational(10.0, "maximum minutes between checkpoints")
    save_total_limit: PositiveInt = operational(2, "number of checkpoints to keep, the newest valid ones")
    checkpoint_to: Place = operational(None, f"mirror for checkpoints: {schemes.forms()}")
    checkpoint_key_path: KeyPath = operational(
        None, "file with a key of at least 32 characters: checkpoints are signed with it, and others not resumed from"
    )
    ranks_key_path: KeyPath = operational(
        None, "file with a key of at least 32 characters, the same on all machines: ranks sign with it what they say"
    )
    lease_seconds: Positive = operational(60.0, "seconds without renewal until another attempt may take the run over")
    grace_seconds: Positive = operational(25.0, "seconds to save and stop after a signal")
    publish_to: Places = operational((), f"destinations: {schemes.forms()}")
    publish_if: Literal["always", "not-worse", "improved", "collapsed"] = operational(
        "always", "verdict required to publish; below it the adapter stays in the run folder; collapsed: any"
    )
    publish_merged: Bool = operational(False, "also publish the merged model, in merged/")
    publish_merged_dtype: Literal["model", "float16", "float32"] = operational(
        "model", "type of the merged weights; float16 and float32 keep more of a small update than bfloat16"
    )
    verify: Bool = operational(
        False, "last, ask what was published the recorded prompts again; exit 4 if answers differ"
    )
    publish_seconds: PositiveAuto = operational(
        "auto",
        "maximum seconds per destination, plus time for what is sent; auto: 40, for the run folder can be published "
        "later, or 900 where it is on a container's own disk",
    )
    publish_private: Bool = operational(True, "create Hub repositories as private")
    log_format: Literal["auto", "rich", "plain", "json"] = operational("auto", "auto: rich on a terminal, else plain")

    # budget and health; health/ explains each threshold
    max_hours: OptionalPositive = operational(
        None, "maximum hours over all attempts; training stops in time to evaluate and publish"
    )
    price_per_hour: OptionalPositive = operational(None, "price of this machine in US dollars per hour")
    max_cost: OptionalPositive = operational(None, "maximum cost in US dollars; needs GRPO_PRICE_PER_HOUR")
    health: Literal["stop", "warn", "off"] = operational(
        "stop", "for a run that cannot succeed: stop ends it with exit 4, warn only warns, off disables the checks"
    )
    health_steps: PositiveInt = operational(10, "minimum steps that a warning sign must last")
    health_groups: PositiveInt = operational(64, "consecutive groups with zero reward std that mean no signal")
    health_clipped_share: Fraction = operational(0.8, "share of truncated completions that is a warning sign")
    health_max_kl: Positive = operational(10.0, "KL divergence from the base in nats per token that is a warning sign")
    health_gradient_factor: Positive = operational(100.0, "gradient norm's limit, as a multiple of its first values")
    health_entropy_share: Fraction = operational(0.05, "lower limit of the entropy, as a share of its first values")
    probe_prompts: NonNegativeInt = operational(
        16, "prompts sampled before step 1 to test the rewards; three times more where no group differs; 0: none"
    )
    rehearsal: Literal["auto", "always", "never"] = operational(
        "auto", "run the longest rows before step 1 to find memory errors early; auto: if the plan leaves little room"
    )
    metrics_port: OptionalPort = operational(None, "port for Prometheus metrics")
    metrics_address: IpAddress = operational(
        "127.0.0.1", "address that GRPO_METRICS_PORT listens on; 0.0.0.0, as in the images: every address"
    )
    termination_log: Text = operational("/dev/termination-log", "file for the outcome, if it can be written")
    notify_url: NotifyUrl = operational(None, "secret: address that gets one POST when the run ends, stops or fails")
    notify_url_path: NotifyUrlPath = operational(None, "file that holds the address, in place of GRPO_NOTIFY_URL")
    allow_other_versions: Bool = operational(False, "allow package versions that differ from the lock")
