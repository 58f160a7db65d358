"""Before the first step: the longest rows that can come, through forward and backward, with no optimizer step.

Memory then runs out at once or never. What the rehearsal changes is restored: metrics, gradients, random numbers. It
runs after the first generation, when vLLM holds what it holds during training.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch

from grpo_job.engines.trainer.lengths import of_rows
from grpo_job.inputs.chat_template import Chat
from grpo_job.planner.plan import Plan
from grpo_job.settings.schema import Settings

# Share of the budget: a plan below it is not rehearsed, because it may be wrong by a third and still fit.
AMPLE_SHARE = 0.75
CANDIDATES = 64  # rows of the most characters, among which the one of the most tokens is looked for


def sizes(settings: Settings, plan: Plan | None, rows: Sequence[dict[str, Any]], chat: Chat) -> tuple[int, int] | None:
    """Tokens of the longest prompt and of the longest completion; None if nothing is rehearsed."""
    little_room = plan is not None and plan.memory.total > AMPLE_SHARE * plan.budget
    if settings.rehearsal == "never" or (settings.rehearsal == "auto" and not little_room):
        return None
    by_characters = sorted((row["prompt"] for row in rows), key=lambda prompt: -len(str(prompt)))[:CANDIDATES]
    return max(chat.lengths(by_characters)), settings.max_completion_length


def dry_run(
    trainer: Any, loss_of: Callable[[dict[str, Any]], Any], inputs: dict[str, Any], size: tuple[int, int]
) -> None:
    """As many rows of `inputs` as are planned, but of `size`; `loss_of` is the trainer's own loss."""
    metrics, inputs = deepcopy(trainer._metrics), of_rows(inputs, range(trainer.args.per_device_train_batch_size))
    with torch.random.fork_rng():
        trainer.accelerator.backward(loss_of(stretched(inputs, *size)))
    trainer._metrics = metrics
    trainer.model.zero_grad(set_to_none=True)


def stretched(inputs: dict[str, Any], prompt: int, completion: int) -> dict[str, Any]:
    """The same rows with as many tokens of prompt and completion, none of them masked.

    Tensors of [rows, tokens] get their columns repeated, the others stay. Unsloth's log-probabilities are wider than
    the completions by the longest left padding; unstretched, its loss would score other columns.
    """
    written = inputs["completion_ids"].shape[1]
    longer = dict(inputs)
    for name, value in inputs.items():
        if not isinstance(value, torch.Tensor) or value.dim() != 2:
            continue
        if name.startswith("prompt"):
            width = prompt
        elif value.shape[1] == written or name.endswith("per_token_logps"):
            width = completion
        else:
            continue
        columns = torch.arange(width, device=value.device) % value.shape[1]
        longer[name] = torch.ones_like(value[:, columns]) if name.endswith("mask") else value[:, columns]
    return longer
