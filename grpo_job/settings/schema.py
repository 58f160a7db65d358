"""Every setting: name, type, default, meaning. One frozen object, read once and passed along.

A field `max_steps` is the variable `GRPO_MAX_STEPS`. A field that TRL's `GRPOConfig` also has
bears its name and meaning; every other GRPOConfig option lands in `grpo_config`. How text
becomes settings, and where each value came from, is in `reader.py`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from grpo_job.settings import trl_options
from grpo_job.settings.primitives import (
    AnyText,
    Bool,
    Decay,
    Fraction,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Text,
    allowed_words,
)
from grpo_job.settings.types import (
    BoolAuto,
    FractionAuto,
    Group,
    Modules,
    Optimizer,
    OptionalFraction,
    OptionalPort,
    OptionalPositive,
    OptionalPositiveInt,
    OptionalText,
    Place,
    Places,
    PositiveIntAuto,
    Rewards,
    RunId,
    Schedule,
    Seed,
    Steps,
    Trackers,
    Warmup,
)


def setting(default: Any, meaning: str, *, changes_result: bool = True) -> Any:
    """A field; `changes_result` says whether another value gives another adapter."""
    return Field(default, description=meaning, json_schema_extra={"changes_result": changes_result})


def operational(default: Any, meaning: str) -> Any:
    return setting(default, meaning, changes_result=False)


class Settings(BaseModel):
    """All that one run was told. Frozen; hashed by what changes its result."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    # what is trained
    recipe: Text = operational("gsm8k", "named bundle of settings: gsm8k, tutorial or smoke")
    engine: Literal["auto", "unsloth", "trl"] = setting(
        "auto", "unsloth (one GPU), trl (CPU, one GPU or many); auto: unsloth on one GPU"
    )
    processes: PositiveIntAuto = operational(
        "auto", "processes on this machine; auto: one a GPU, and one without a GPU"
    )
    model: Text = setting("unsloth/Qwen2.5-3B-Instruct", "Hub id, folder, or `sample` (embedded, for smoke runs)")
    model_revision: OptionalText = setting(None, "branch, tag or commit of the model; the commit found is recorded")
    max_seq_length: PositiveInt = setting(1024, "tokens of prompt and completion together")
    load_in_4bit: BoolAuto = setting("auto", "hold the base in 4 bits; auto: only where 16 bits do not fit")
    lora_rank: PositiveInt = setting(8, "rank of the LoRA matrices")
    lora_alpha: PositiveInt = setting(8, "LoRA scale is alpha / rank")
    lora_target_modules: Modules = setting(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        "linear layers that get a LoRA",
    )
    lora_seed: Seed = setting(1234, "seed of the LoRA's first weights")
    shard_base: BoolAuto = operational("auto", "a machine's GPUs share the base for training (FSDP); auto: the plan")
    standby: BoolAuto = operational("auto", "vLLM frees its memory while training; auto: the plan")
    training_graphs: BoolAuto = operational(
        "auto", "unsloth replays forward and backward as CUDA graphs; auto: where steps are small and many"
    )

    # rows
    dataset: Text = setting("openai/gsm8k", "Hub id, s3:// prefix, file or folder, or `sample`")
    dataset_config: OptionalText = setting(None, "configuration of a Hub dataset")
    dataset_split: Text = setting("train", "split to train on")
    dataset_revision: OptionalText = setting(None, "branch, tag or commit of the dataset")
    eval_dataset: OptionalText = setting(None, "held-out rows from elsewhere: Hub id, s3:// prefix, file or folder")
    eval_split: OptionalText = setting(
        None, "split to evaluate on; default: test where there is one, else part of the rows"
    )
    eval_rows: PositiveInt = setting(200, "held-out rows to evaluate before and after")
    measure: Text = setting("auto", "what the verdict is about: a reward's name, or auto: right answers or all rewards")
    eval_samples: PositiveInt = setting(1, "completions per held-out row for avg@k and pass@k; 1: greedy alone")
    eval_steps: OptionalPositiveInt = setting(
        None, "steps between evaluations while training; none: only before and after"
    )
    eval_steps_rows: PositiveInt = setting(64, "held-out rows of an evaluation while training, the first ones")
    keep: Literal["last", "best"] = setting(
        "last", "adapter that is the result: of the last step, or the best measured"
    )
    stop_at_accuracy: OptionalFraction = setting(
        None, "stop once the measure reaches this on the held-out rows while training"
    )
    sample_prompts: Text = operational(
        "How many r's are in strawberry?",
        "questions that base and adapter answer side by side, separated by |; or none",
    )
    prompt_column: Text = setting("question", "column with the question")
    answer_column: Text = setting("answer", "column with the gold answer; of `work #### 72` the part behind counts")
    system_prompt: AnyText = setting("", "system message before each question; empty for none")
    max_prompt_length: PositiveInt = setting(256, "rows whose prompt has more tokens are left out, and counted")

    # rewards
    rewards: Rewards = setting((("correct", 2.0),), "reward functions and weights, `name:weight,...`")
    reward_path: OptionalText = setting(None, "folder put on the path for rewards named by a dotted path")
    reward_timeout_seconds: Positive = operational(60.0, "a reward that takes longer for one batch ends the run")

    # training: GRPOConfig's own names
    learning_rate: NonNegative = setting(5e-6, "peak learning rate")
    adam_beta1: Decay = setting(0.9, "decay of Adam's first moment")
    adam_beta2: Decay = setting(0.99, "decay of Adam's second moment")
    weight_decay: NonNegative = setting(0.1, "weight decay")
    warmup_steps: Warmup = setting(0.1, "steps of warm-up; below 1, a share of all steps")
    lr_scheduler_type: Schedule = setting("cosine", "learning-rate schedule")
    optim: Optimizer = setting("adamw_8bit", "optimizer; 8-bit ones become adamw_torch on CPU")
    max_grad_norm: NonNegative = setting(0.1, "gradient norm limit")
    per_device_train_batch_size: PositiveInt = setting(4, "completions per micro-step, all processes together")
    gradient_accumulation_steps: PositiveInt = setting(1, "micro-steps per optimizer step")
    num_generations: Group = setting(4, "completions sampled per prompt")
    max_completion_length: PositiveInt = setting(200, "longest completion, in tokens")
    max_steps: Steps = setting(250, "optimizer steps; -1: by num_train_epochs")
    num_train_epochs: Positive = setting(1.0, "passes over the rows when max_steps is -1")
    temperature: Positive = setting(1.0, "sampling temperature while training")
    num_iterations: PositiveInt = setting(1, "optimization passes over each batch of completions")
    steps_per_generation: OptionalPositiveInt = setting(
        None, "micro-steps per batch of completions; default: gradient_accumulation_steps"
    )
    generation_batch_size: OptionalPositiveInt = setting(
        None, "completions per generation, all processes together; instead of steps_per_generation"
    )
    gradient_checkpointing: BoolAuto = operational("auto", "recompute activations to save memory; auto: the plan")
    vllm_gpu_memory_utilization: FractionAuto = operational("auto", "share of GPU memory for vLLM; auto: the plan")
    logging_steps: PositiveInt = operational(1, "steps between lines of metrics")
    seed: Seed = setting(42, "seed of rows, sampling and LoRA")
    report_to: Trackers = operational((), "trackers: wandb, tensorboard, mlflow, trackio")
    grpo_config: dict[str, Any] = Field({}, description="every other GRPOConfig option that was given")

    # the run
    run_id: RunId = operational(None, "name of the run; default: made from what changes the result")
    output_dir: Text = operational("outputs", "folder that holds run folders")
    cache_dir: Text = operational("~/.cache/grpo-job", "folder for compiled kernels, good for runs to come")
    resume: Literal["auto", "never"] = operational("auto", "auto: go on from the newest good checkpoint")
    save_steps: PositiveInt = operational(25, "steps between checkpoints")
    save_minutes: Positive = operational(10.0, "longest time between checkpoints")
    save_total_limit: PositiveInt = operational(2, "checkpoints kept, the newest good ones")
    checkpoint_to: Place = operational(
        None, "a second home of checkpoints: hf://owner/name, s3://bucket/prefix, file:///"
    )
    lease_seconds: Positive = operational(60.0, "after this time without a sign of its holder, a run may be taken over")
    grace_seconds: Positive = operational(25.0, "time to stop in order after a signal")
    publish_to: Places = operational((), "destinations: hf://owner/name, s3://bucket/prefix, file:///folder")
    publish_if: Literal["always", "not-worse", "improved", "collapsed"] = operational(
        "always", "the verdict that the evaluation must reach, else the adapter is kept unpublished; collapsed: any"
    )
    publish_merged: Bool = operational(False, "publish the merged 16-bit model as well, in the folder merged/")
    publish_seconds: Positive = operational(900.0, "longest time for one destination; it grows with what is sent")
    publish_private: Bool = operational(True, "a repository that publishing creates is private")
    log_format: Literal["auto", "rich", "plain", "json"] = operational("auto", "auto: rich on a terminal, else plain")

    # what it may cost, and when it is worth nothing; health/ says why each threshold is what it is
    max_hours: OptionalPositive = operational(None, "hours of all attempts together; the run ends in order before")
    price_per_hour: OptionalPositive = operational(None, "US dollars an hour of this machine, to tell the cost")
    max_cost: OptionalPositive = operational(None, "US dollars; with GRPO_PRICE_PER_HOUR a limit of hours")
    health: Literal["stop", "warn", "off"] = operational(
        "stop", "a run that cannot succeed: stop ends it with exit 4, warn says so, off does not look"
    )
    health_steps: PositiveInt = operational(10, "steps that a bad sign must last at least")
    health_groups: PositiveInt = operational(64, "groups of completions without spread, in a row, that mean no signal")
    health_clipped_share: Fraction = operational(0.8, "share of completions cut at their longest that is a bad sign")
    health_max_kl: Positive = operational(10.0, "divergence from the base, in nats a token, that is a bad sign")
    health_gradient_factor: Positive = operational(100.0, "times its first values that a gradient norm may reach")
    health_entropy_share: Fraction = operational(0.05, "share of its first values that the entropy may fall to")
    probe_prompts: NonNegativeInt = operational(
        16, "prompts sampled before step 1, to see whether there is a signal; 0: none"
    )
    rehearsal: Literal["auto", "always", "never"] = operational(
        "auto", "before step 1 the longest rows, so that memory fails at once; auto: where the plan leaves little room"
    )
    metrics_port: OptionalPort = operational(None, "port of Prometheus metrics")
    termination_log: Text = operational("/dev/termination-log", "file for the ending, where it can be written")
    allow_other_versions: Bool = operational(False, "run with packages that differ from the lock")

    @property
    def generation_micro_steps(self) -> int:
        """Micro-steps that one batch of completions feeds."""
        if self.generation_batch_size:
            return max(1, self.generation_batch_size // self.per_device_train_batch_size)
        return self.steps_per_generation or self.gradient_accumulation_steps

    @property
    def completions_per_step(self) -> int:
        """Completions that one optimizer step learns from."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    @property
    def completions_per_generation(self) -> int:
        """Completions that are sampled at once, for one optimizer step or for several."""
        return self.per_device_train_batch_size * self.generation_micro_steps

    @property
    def groups_per_step(self) -> float:
        """Groups of completions, each of one prompt, that one optimizer step learns from; it may share one."""
        return self.completions_per_step / self.num_generations

    @property
    def folder_of_run(self) -> Path:
        """`GRPO_OUTPUT_DIR/GRPO_RUN_ID`, absolute; it may not be there yet."""
        return Path(self.output_dir).expanduser().resolve() / self.name_of_run()

    def changing_result(self) -> dict[str, Any]:
        """The settings of which another value would give another adapter, as JSON values."""
        fields = type(self).model_fields
        harmless = {name for name, field in fields.items() if field.json_schema_extra == {"changes_result": False}}
        return self.model_dump(mode="json", exclude=harmless)

    def result_hash(self) -> str:
        """SHA-256 of `changing_result()`, in hex."""
        return hashlib.sha256(json.dumps(self.changing_result(), sort_keys=True).encode()).hexdigest()

    def name_of_run(self) -> str:
        """`run_id`, or a name that the same settings always give."""
        return self.run_id or f"{self.recipe}-{self.result_hash()[:10]}"


def variable(field: str) -> str:
    """`"max_steps"` -> `"GRPO_MAX_STEPS"`."""
    return f"GRPO_{field.upper()}"


def known_names() -> list[str]:
    """Every name that may follow `GRPO_`, in small letters, GRPOConfig's own included."""
    own = [name for name in Settings.model_fields if name != "grpo_config"]
    return [*own, *(name for name in trl_options.options() if name not in own and name not in trl_options.OWNED)]


def allowed(field: str) -> str:
    """What a person may write for one of the settings' own fields."""
    info = Settings.model_fields[field]
    return allowed_words(info.annotation, info.metadata)
