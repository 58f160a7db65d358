"""The steps before GRPO that learn the rows' own worked solutions, within the same trainer.

GRPO's loss of completions with advantage 1, scored by the weights that learn, has the gradient of their negative
log-likelihood: each engine's own loss, micro-batches and optimizer do supervised steps with it. So a warm start is
saved, resumed and shared among processes as GRPO steps are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from trl.trainer.utils import pad

from grpo_job.inputs.solutions import going_on
from grpo_job.settings.schema import Settings


class WarmStart:
    """The first `steps` optimizer steps of a trainer, at a constant learning rate of their own."""

    def __init__(self, settings: Settings) -> None:
        self.steps, self.learning_rate = settings.warm_start_steps, settings.warm_start_learning_rate

    def batch(self, trainer: Any, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """One micro-batch of prompts and solutions, as GRPO's completions. Of `rows` the first are distinct."""
        rows = rows[: trainer.args.per_device_train_batch_size]
        prompts, *_ = trainer._tokenize_prompts([row["prompt"] for row in rows])
        tokenizer, opening = trainer.processing_class, trainer.chat.opening()
        texts = [going_on(opening, row["solution"]) for row in rows]
        solutions = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        prompt_ids, prompt_mask = _padded(trainer, prompts, "left")
        ids, mask = _padded(trainer, [[*one, tokenizer.eos_token_id] for one in solutions], "right")
        tokens = trainer.accelerator.gather(mask.sum()).sum() * trainer.args.steps_per_generation
        extra = {"importance_sampling_ratio": torch.ones_like(ids, dtype=torch.float32)} if trainer.use_vllm else {}
        return {
            "prompt_ids": prompt_ids,
            "prompt_mask": prompt_mask,
            "completion_ids": ids,
            "completion_mask": mask,
            "advantages": torch.ones(len(rows), device=ids.device),
            "num_items_in_batch": tokens,
            **extra,
        }

    @contextmanager
    def without_reference(self, trainer: Any) -> Iterator[None]:
        """A solution is learned whatever the reference thinks of it, and each of its tokens."""
        kept = trainer.beta, trainer.top_entropy_quantile
        trainer.beta, trainer.top_entropy_quantile = 0.0, 1.0
        try:
            yield
        finally:
            trainer.beta, trainer.top_entropy_quantile = kept

    def put_before(self, scheduler: Any, optimizer: Any, peak: float) -> Any:
        """The schedule of GRPO's steps, beginning after these. `peak`: GRPO's learning rate."""
        if not self.steps:
            return scheduler
        scheduler.lr_lambdas = [partial(self._factor, after, peak) for after in scheduler.lr_lambdas]
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate
        scheduler._last_lr = [self.learning_rate] * len(optimizer.param_groups)  # what the first step is logged with
        return scheduler

    def _factor(self, after: Any, peak: float, step: int) -> float:
        return self.learning_rate / peak if step < self.steps else float(after(step - self.steps))


def _padded(trainer: Any, texts: Sequence[Sequence[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, both [texts, tokens]."""
    device = trainer.accelerator.device
    ids = [torch.tensor(text, device=device) for text in texts]
    padded = pad(ids, padding_value=trainer.processing_class.pad_token_id, padding_side=side)
    return padded, pad([torch.ones_like(one) for one in ids], padding_value=0, padding_side=side)
