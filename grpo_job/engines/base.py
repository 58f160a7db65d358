"""What the engines share once model, tokenizer, trainer and callback exist.

Heavy imports are inside the functions, because Unsloth must be imported before them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpo_job.engines.interface import Listener, Prompts
from grpo_job.engines.ranks import ALONE, Answer, Asked, LoadAdapter, Ranks, TakeRows
from grpo_job.evaluation.completion import Completion
from grpo_job.inputs.base_model import BaseModel
from grpo_job.inputs.chat_template import Chat
from grpo_job.settings.schema import Settings

if TYPE_CHECKING:
    from grpo_job.engines.rollouts.generate import Weights
    from grpo_job.engines.trainer.callback import ListeningCallback


class TrainerEngine:
    """One of TRL's trainers over a base with one LoRA. Subclasses set the attributes and implement `answer`."""

    ranks: Ranks = ALONE
    tensor_parallel = 1  # ranks that answer as one
    training = False
    start: Path | None = None  # the LoRA weights that were loaded in place of fresh ones
    base: BaseModel
    model: Any
    tokenizer: Any
    chat: Chat
    trainer: Any
    callback: "ListeningCallback"
    planned_steps: int
    notes: Sequence[str] = ()
    on_answers: Callable[[int, int], object] = staticmethod(lambda done, asked: None)

    def take_template(self, settings: Settings) -> None:
        """Render prompts as all parts of the run do; a template that was given is saved with the adapter."""
        self.chat = Chat(self.base.folder, settings)
        if settings.chat_template:
            self.tokenizer.chat_template = self.chat.source

    def train(self, listener: Listener, resume_from: Path | None = None) -> None:
        """Run to the planned number of steps, or until the listener stops it."""
        self.callback.listener, self.callback.answer = listener, self._answer_share
        self.training = True
        self.trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        self.training = False

    def generate(self, prompts: Prompts, **options: Any) -> list[list[Completion]]:
        """Completions, see `Engine.generate`; each rank answers its share of the prompts."""
        if self.ranks.count == 1:
            return self.answer(prompts, **options)
        if not self.training:  # between two steps the others are listening already
            self.ranks.broadcast(Answer())
        return self._answer_share(self.ranks.share(Asked(list(prompts), options)))

    def join_generation(self) -> None:
        """On a rank that is not 0: its part of what rank 0 generates."""
        self._answer_share(self.ranks.share(None))

    def texts(self, prompts: Prompts) -> list[str]:
        """The prompts as all parts of the run render them."""
        return [self.chat.render(prompt) for prompt in prompts]

    def answer(self, prompts: Prompts, **options: Any) -> list[list[Completion]]:
        """Completions from this process alone."""
        raise NotImplementedError

    def _answer_share(self, asked: Asked) -> list[list[Completion]]:
        """All answers, on every rank. The seed of a prompt is the same whoever answers it.

        A rank without a prompt answers none: the weights that it answers with may be gathered from all.
        """
        groups, group = self.ranks.count // self.tensor_parallel, self.ranks.number // self.tensor_parallel
        start, end = (len(asked.prompts) * part // groups for part in (group, group + 1))
        seed = asked.options.get("seed", 0) + start * asked.options.get("samples", 1)
        own = self.answer(asked.prompts[start:end], **{**asked.options, "seed": seed})
        shares = self.ranks.gather(own)[:: self.tensor_parallel]
        return [answers for share in shares for answers in share]

    def save_adapter(self, folder: Path) -> None:
        """Write adapter and tokenizer; the config names the base as the user did, never a local path."""
        from grpo_job.engines.trainer.adapter import save_adapter

        save_adapter(self.model, self.tokenizer, self.base, folder)

    def is_saved_in(self, weights: Path) -> bool:
        """Whether this safetensors file holds the LoRA weights in memory, bit by bit."""
        from grpo_job.engines.trainer.adapter import is_saved_in

        return is_saved_in(self.model, weights)

    def fault_of_checkpoint(self, folder: Path, step: int) -> str | None:
        """See `Engine.fault_of_checkpoint`."""
        from grpo_job.engines.trainer.checkpoint import fault_of

        return fault_of(folder, step, self.model)

    def load_adapter(self, weights: Path) -> None:
        """Continue with the LoRA weights of this file, on all ranks."""
        from grpo_job.engines.trainer.adapter import load_adapter

        if self.ranks.number == 0:
            self.ranks.broadcast(LoadAdapter(weights))
        load_adapter(self.model, weights)

    def take_rows(self, rows: Sequence[dict[str, Any]] | None, longest: int) -> None:
        """Train on these rows in place of those that the engine was built with, on all ranks."""
        from datasets import Dataset

        if self.ranks.number == 0:
            self.ranks.broadcast(TakeRows(longest))
        self.trainer.train_dataset = Dataset.from_list(list(self.ranks.share(rows)))
        if size := self.trainer.dry_run_sizes:
            self.trainer.dry_run_sizes = (longest, size[1])

    def adapter_changes_anything(self) -> bool:
        """Whether any LoRA weight that starts at zero, or of a start adapter any at all, has moved."""
        from grpo_job.engines.trainer.adapter import changes_anything

        return not self.is_saved_in(self.start) if self.start else changes_anything(self.model)

    def close(self) -> None:
        """Nothing is held outside the process."""


class VllmTrainerEngine(TrainerEngine):
    """The same with vLLM for rollouts and evaluation. Subclasses also set `llm` and `weights`."""

    llm: Any
    weights: "Weights"

    def _hand_over_by(self, weights: "Weights") -> None:
        """Once the callback stands: it tells when the adapter has changed, and logs what a fold kept of it."""
        self.weights, self.notes = weights, weights.notes
        self.callback.before_measuring = weights.changed
        if weights.kept:
            self.callback.kept_share = weights.kept.take

    def train(self, listener: Listener, resume_from: Path | None = None) -> None:
        """Train; vLLM takes the adapter again afterwards."""
        super().train(listener, resume_from)
        self.weights.changed()

    def answer(self, prompts: Prompts, **options: Any) -> list[list[Completion]]:
        """Completions through vLLM; see `Engine.generate`."""
        from grpo_job.engines.rollouts.generate import generate

        told = self.on_answers
        return generate(self.llm, self.tokenizer, self.weights, self.texts(prompts), **options, on_answers=told)

    def load_adapter(self, weights: Path) -> None:
        """Continue with the LoRA weights of this file, in vLLM too."""
        super().load_adapter(weights)
        self.weights.changed()

    def generate_from(self, adapter: Path, prompts: Prompts, max_tokens: int) -> list[str]:
        """Greedy answers with the LoRA weights read from disk in place of those in memory."""
        self.load_adapter(adapter / "adapter_model.safetensors")
        return [answers[0].text for answers in self.generate(prompts, adapter="on", max_tokens=max_tokens)]

    def close(self) -> None:
        """Stop vLLM and its threads; with several processes their exit does it.

        vLLM would destroy the process group, and NCCL waits until all ranks ask for that.
        """
        import torch

        if self.ranks.count > 1:
            return
        self.llm.llm_engine.engine_core.shutdown()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.cuda.empty_cache()  # GRPO_VERIFY serves the adapter beside what is left
