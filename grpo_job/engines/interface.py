"""What an engine is, and what it reports while it trains. Imports no library.

An engine trains one LoRA over one base model and generates with it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from grpo_job.evaluation.completion import Completion

Prompts = Sequence[list[dict[str, str]]]
Adapter = Literal["on", "off"]
RewardFunctions = Sequence[tuple[Callable[..., Any], float]]


class Listener(Protocol):
    """What an engine reports and asks while it trains."""

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        """The completions that the step learned from, with what each reward paid; told before `on_step`."""

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """A step was logged, under TRL's own metric names."""

    def on_save(self, step: int, written: Path) -> None:
        """The trainer wrote its state to the folder `written`."""

    def on_progress(self) -> None:
        """Any sign of life."""

    def measure(self, step: int) -> dict[str, float]:
        """Further metrics of this step, asked before it is logged; the listener may generate for them."""

    def should_save(self, step: int) -> bool:
        """Is a checkpoint due after this step?"""

    def should_stop(self, step: int) -> bool:
        """End training after this step, with a checkpoint?"""

    def asked_to_stop(self) -> str | None:
        """The signal that this process got, if any."""

    def stop_too(self, reason: str) -> None:
        """Another process of this run was asked to stop; `should_stop` takes it into account."""


class Engine(Protocol):
    """A base model with one LoRA, held by one library stack."""

    planned_steps: int
    notes: Sequence[str]
    """sentences for the user: what was asked for and cannot be done with this model"""
    on_answers: Callable[[int, int], object]
    """called while `generate` runs, with the answers that are there and those asked for, by engines that can tell"""

    def train(self, listener: Listener, resume_from: Path | None = None) -> None:
        """Run to the planned number of steps, or until the listener stops it."""

    def generate(
        self,
        prompts: Prompts,
        *,
        adapter: Adapter,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        further: Mapping[str, Any] = MappingProxyType({}),
        samples: int = 1,
        seed: int = 0,
    ) -> list[list[Completion]]:
        """`samples` completions per prompt; greedy at temperature 0. Training's random numbers stay as they were.

        `further`: the keys of GRPO_GENERATION_KWARGS.
        """

    def join_generation(self) -> None:
        """On a rank other than 0: its part of what rank 0 generates."""

    def save_adapter(self, folder: Path) -> None:
        """Write adapter and tokenizer; the adapter's config names the 16-bit base as the user did."""

    def is_saved_in(self, weights: Path) -> bool:
        """Whether this safetensors file holds the LoRA weights in memory, bit by bit."""

    def fault_of_checkpoint(self, folder: Path, step: int) -> str | None:
        """Why training cannot resume from the checkpoint of `step` in `folder`, or None. Runs nothing of it."""

    def load_adapter(self, weights: Path) -> None:
        """Continue with the LoRA weights of this safetensors file. Raises `InvalidRun` if they are not this LoRA's."""

    def generate_from(self, adapter: Path, prompts: Prompts, max_tokens: int) -> list[str]:
        """Greedy answers of the adapter as it is on disk."""

    def take_rows(self, rows: Sequence[dict[str, Any]] | None, longest: int) -> None:
        """Train on these rows; their longest prompt has so many tokens. On a rank that is not 0 `rows` is None."""

    def adapter_changes_anything(self) -> bool:
        """Whether any LoRA weight that starts at zero, or of a start adapter any at all, has moved."""

    def close(self) -> None:
        """Release what is held outside the process."""
