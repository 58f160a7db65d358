"""Every setting: name, type, default, meaning. One frozen object, read once and passed along.

A field `max_steps` is the variable `GRPO_MAX_STEPS`. A field that TRL's `GRPOConfig` also has
bears its name and meaning; every other GRPOConfig option lands in `grpo_config`. How text
becomes settings, and where each value came from, is in `settings_reader.py`.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from grpo_job.grpo_config import options, split_commas

Auto = Literal["auto"]
Share = Annotated[float, Field(gt=0, le=1)]


def _reward_list(value: Any) -> Any:
    """`"correct:2, tag_count"` as `[("correct", 2.0), ("tag_count", 1.0)]`."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition(":") for part in split_commas(value)]
    return [(name.strip(), weight.strip() or "1") for name, _, weight in pairs]


def _one_of_each(value: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [item[0] if isinstance(item, tuple) else item for item in value]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"name each once, but {name!r} is there {names.count(name)} times")
    return value


def _known_scheme(value: tuple[str, ...]) -> tuple[str, ...]:
    for uri in value:
        if not uri.startswith(("hf://", "s3://", "file:///")):
            raise ValueError(f"be hf://owner/name, s3://bucket/prefix or file:///folder, but {uri!r} is none")
    return value


def _one_of_option(option: str) -> AfterValidator:
    """Accept the words that GRPOConfig's `option` accepts."""

    def check(value: str) -> str:
        allowed = options()[option]["choices"]
        if value not in allowed:
            raise ValueError(f"be one of: {', '.join(allowed)}")
        return value

    return AfterValidator(check)


Words = Annotated[tuple[str, ...], BeforeValidator(split_commas), AfterValidator(_one_of_each)]
Uris = Annotated[Words, AfterValidator(_known_scheme)]
Rewards = Annotated[
    tuple[tuple[str, FiniteFloat], ...],
    Field(min_length=1),
    BeforeValidator(_reward_list),
    AfterValidator(_one_of_each),
]


def setting(default: Any, meaning: str, *, changes_result: bool = True) -> Any:
    """A field; `changes_result` says whether another value gives another adapter."""
    return Field(default, description=meaning, json_schema_extra={"changes_result": changes_result})


def _harmless(default: Any, meaning: str) -> Any:
    return setting(default, meaning, changes_result=False)


class Settings(BaseModel):
    """All that one run was told. Frozen; hashed by what changes its result."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    # what is trained
    recipe: str = _harmless("gsm8k", "named bundle of settings: gsm8k, tutorial or smoke")
    engine: Literal["auto", "unsloth", "trl"] = setting(
        "auto", "unsloth (one GPU), trl (CPU, one GPU or many), auto chooses"
    )
    model: str = setting("unsloth/Qwen2.5-3B-Instruct", "Hub id, folder, or `sample` (embedded, for smoke runs)")
    model_revision: str | None = setting(None, "branch, tag or commit of the model; the commit found is recorded")
    max_seq_length: PositiveInt = setting(1024, "tokens of prompt and completion together")
    load_in_4bit: bool | Auto = setting("auto", "hold the base in 4 bits; auto: only where 16 bits do not fit")
    lora_rank: PositiveInt = setting(8, "rank of the LoRA matrices")
    lora_alpha: PositiveInt = setting(8, "LoRA scale is alpha / rank")
    lora_target_modules: Words = setting(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        "linear layers that get a LoRA",
    )

    lora_seed: NonNegativeInt = setting(1234, "seed of the LoRA's first weights")
    standby: bool | Auto = _harmless("auto", "vLLM frees its memory while training; auto: the plan")

    # rows
    dataset: str = setting("openai/gsm8k", "Hub id, s3:// prefix, file or folder, or `sample`")
    dataset_config: str | None = setting(None, "configuration of a Hub dataset")
    dataset_split: str = setting("train", "split to train on")
    dataset_revision: str | None = setting(None, "branch, tag or commit of the dataset")
    eval_dataset: str | None = setting(None, "held-out rows from elsewhere: Hub id, s3:// prefix, file or folder")
    eval_split: str | None = setting(None, "split to evaluate on; without one, part of the rows is held out")
    eval_rows: PositiveInt = setting(200, "held-out rows to evaluate before and after")
    prompt_column: str = setting("question", "column with the question")
    answer_column: str = setting("answer", "column with the gold answer; of `work #### 72` the part behind counts")
    system_prompt: str = setting("", "system message before each question; empty for none")
    max_prompt_length: PositiveInt = setting(256, "rows whose prompt has more tokens are left out, and counted")

    # rewards
    rewards: Rewards = setting((("correct", 2.0),), "reward functions and weights, `name:weight,...`")
    reward_path: str | None = setting(None, "folder put on the path for rewards named by a dotted path")
    reward_timeout_seconds: PositiveFloat = _harmless(60.0, "a reward that takes longer for one batch ends the run")

    # training: GRPOConfig's own names
    learning_rate: PositiveFloat | Literal[0] = setting(5e-6, "peak learning rate")
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = setting(0.9, "decay of Adam's first moment")
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = setting(0.99, "decay of Adam's second moment")
    weight_decay: NonNegativeFloat = setting(0.1, "weight decay")
    warmup_steps: NonNegativeFloat = setting(0.1, "steps of warm-up; below 1, a share of all steps")
    lr_scheduler_type: Annotated[str, _one_of_option("lr_scheduler_type")] = setting("cosine", "learning-rate schedule")
    optim: Annotated[str, _one_of_option("optim")] = setting(
        "adamw_8bit", "optimizer; 8-bit ones become adamw_torch on CPU"
    )
    max_grad_norm: NonNegativeFloat = setting(0.1, "gradient norm limit")
    per_device_train_batch_size: PositiveInt = setting(4, "completions per device and micro-step")
    gradient_accumulation_steps: PositiveInt = setting(1, "micro-steps per optimizer step")
    num_generations: Annotated[int, Field(ge=2)] = setting(4, "completions sampled per prompt")
    max_completion_length: PositiveInt = setting(200, "longest completion, in tokens")
    max_steps: PositiveInt | Literal[-1] = setting(250, "optimizer steps; -1: by num_train_epochs")
    num_train_epochs: PositiveFloat = setting(1.0, "passes over the rows when max_steps is -1")
    temperature: PositiveFloat = setting(1.0, "sampling temperature while training")
    num_iterations: PositiveInt = setting(1, "optimization passes over each batch of completions")
    steps_per_generation: PositiveInt | None = setting(
        None, "micro-steps per batch of completions; default: gradient_accumulation_steps"
    )
    generation_batch_size: PositiveInt | None = setting(
        None, "completions per generation over all devices; instead of steps_per_generation"
    )
    gradient_checkpointing: bool | Auto = _harmless("auto", "recompute activations to save memory; auto: the plan")
    vllm_gpu_memory_utilization: Share | Auto = _harmless("auto", "share of GPU memory for vLLM; auto: the plan")
    logging_steps: PositiveInt = _harmless(1, "steps between lines of metrics")
    seed: NonNegativeInt = setting(42, "seed of rows, sampling and LoRA")
    report_to: Words = _harmless((), "trackers: wandb, tensorboard, mlflow, trackio")
    grpo_config: dict[str, Any] = Field({}, description="every other GRPOConfig option that was given")

    # the run
    run_id: str | None = _harmless(None, "name of the run; default: made from what changes the result")
    output_dir: str = _harmless("outputs", "folder that holds run folders")
    resume: Literal["auto", "never"] = _harmless("auto", "auto: go on from the newest good checkpoint")
    save_steps: PositiveInt = _harmless(25, "steps between checkpoints")
    save_minutes: PositiveFloat = _harmless(10.0, "longest time between checkpoints")
    save_total_limit: PositiveInt = _harmless(2, "checkpoints kept, the newest good ones")
    grace_seconds: PositiveFloat = _harmless(25.0, "time to stop in order after a signal")
    publish_to: Uris = _harmless((), "destinations: hf://owner/name, s3://bucket/prefix, file:///folder")
    publish_private: bool = _harmless(True, "a repository that publishing creates is private")
    log_format: Literal["auto", "rich", "plain", "json"] = _harmless("auto", "auto: rich on a terminal, else plain")

    @property
    def generation_micro_steps(self) -> int:
        """Micro-steps that one batch of completions feeds, on one process."""
        if self.generation_batch_size:
            return max(1, self.generation_batch_size // self.per_device_train_batch_size)
        return self.steps_per_generation or self.gradient_accumulation_steps

    @property
    def completions_per_step(self) -> int:
        """Completions that one optimizer step of one process learns from."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def changing_result(self) -> dict[str, Any]:
        """The settings of which another value would give another adapter, as JSON values."""
        harmless = {
            name
            for name, field in type(self).model_fields.items()
            if isinstance(field.json_schema_extra, dict) and not field.json_schema_extra["changes_result"]
        }
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
    return [*own, *(name for name in options() if name not in own)]
