"""Chooses the engine, and imports it inside the choice.

The only folder that imports torch, transformers, trl, peft, unsloth and vllm. An engine trains one
LoRA over one base model and generates with it; add one by a file and one arm of `build`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from grpo_job.base_model import BaseModel
from grpo_job.failures import Refused
from grpo_job.settings import Settings

Prompts = Sequence[list[dict[str, str]]]
RewardFunctions = Sequence[tuple[Callable[..., Any], float]]
MOST_PARAMETERS_ON_CPU = 200_000_000  # above, one step takes minutes


class Listener(Protocol):
    """What an engine tells, and asks, while it trains."""

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """A step was logged, under TRL's own metric names."""

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        """The completions that the step learned from, with what each reward paid."""

    def on_save(self, step: int, written: Path) -> None:
        """The trainer wrote its state to the folder `written`."""

    def on_progress(self) -> None:
        """Any sign of life."""

    def should_save(self, step: int) -> bool:
        """Is a checkpoint due after this step?"""

    def should_stop(self, step: int) -> bool:
        """End training after this step, with a checkpoint?"""


class Engine(Protocol):
    """A base model with one LoRA, held by one library stack."""

    planned_steps: int

    def train(self, listener: Listener, resume_from: Path | None = None) -> None:
        """Run to the planned number of steps, or until the listener stops it."""

    def generate(
        self,
        prompts: Prompts,
        *,
        adapter: Literal["on", "off"],
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """`samples` completions for each prompt; greedy at temperature 0. Leaves training's RNG as it was."""

    def save_adapter(self, folder: Path) -> None:
        """Write adapter and tokenizer; the adapter's config names the 16-bit base as the user did."""

    def generate_from(self, adapter: Path, prompts: Prompts, max_tokens: int) -> list[str]:
        """Greedy answers of the adapter as it stands on disk."""

    def adapter_changes_anything(self) -> bool:
        """Whether any LoRA weight that starts at zero has moved."""

    def close(self) -> None:
        """Give back what is held outside the process."""


def choose(settings: Settings, config: Mapping[str, Any], gpu_count: int) -> Literal["unsloth", "trl"]:
    """The engine for this model on this machine. `config` is the model's config.json.

    Raises `Refused` where no engine can train it.
    """
    if settings.engine == "unsloth" and gpu_count == 0:
        raise Refused("GRPO_ENGINE: 'unsloth' was given; it needs an NVIDIA GPU, and none is visible: allowed is trl")
    if gpu_count == 0 and (parameters := parameter_count(config)) > MOST_PARAMETERS_ON_CPU:
        raise Refused(
            f"GRPO_MODEL: {settings.model!r} has {parameters / 1e9:.1f} billion parameters and no NVIDIA GPU is there: "
            "run it on a machine with a GPU, or try the job on this one with GRPO_RECIPE=smoke"
        )
    if settings.engine != "auto":
        return settings.engine
    return "unsloth" if gpu_count == 1 else "trl"


def parameter_count(config: Mapping[str, Any]) -> int:
    """Parameters of a decoder with gated MLPs (Llama, Qwen, Mistral), norms and biases left out."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    attention = hidden * head * (2 * heads + 2 * config.get("num_key_value_heads", heads))
    mlp = 3 * hidden * config["intermediate_size"]
    embeddings = config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return int(layers * (attention + mlp) + embeddings)


def build(
    engine: str,
    settings: Settings,
    base: BaseModel,
    rows: Sequence[dict[str, Any]],
    rewards: RewardFunctions,
    folder: Path,
) -> Engine:
    """Load the model. `rows` have `prompt` and `answer`; the trainer writes its state below `folder`."""
    match engine:
        case "trl":
            from grpo_job.engines import plain_trl

            return plain_trl.build(settings, base, rows, rewards, folder)
        case _:
            raise Refused(f"GRPO_ENGINE: {engine!r} was given; allowed: unsloth, trl")
