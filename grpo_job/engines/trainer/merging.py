"""Micro-batches of short rows become one, as long as memory was planned for it.

Where rows are few and short, a GPU is done with a micro-batch before the host has launched its kernels. How many rows a
micro-batch may have is planned for the longest ones; once dealt by length, most rows are far shorter.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.distributed import ReduceOp, all_reduce

from grpo_job.engines.trainer.lengths import Batch, Length, joined, lengths, longest
from grpo_job.planner.plan import Plan
from grpo_job.settings.schema import Settings

# Losses that the tokens of the whole generation divide: what a row weighs does not depend on its micro-batch.
BY_TOKENS = ("cispo", "dapo", "vespo")


class Room(NamedTuple):
    """What a micro-batch may hold: as many `rows`, each of the longest prompt and completion, in tokens."""

    rows: int
    longest: Length

    def holds(self, rows: int, widest: Length) -> bool:
        """Activations go by all tokens of a row, logits by those of its completion."""
        fewer = rows * sum(widest) <= self.rows * sum(self.longest)
        return fewer and rows * widest.completion <= self.rows * self.longest.completion


def room(plan: Plan, settings: Settings) -> Room | None:
    """What is planned for; None where a micro-batch is replayed from graphs, which are captured for so many rows."""
    if plan.training_graphs:
        return None
    completion = settings.max_completion_length
    return Room(plan.micro_batch_size, Length(plan.row_tokens - completion, completion))


def merged(trainer: Any, batches: Sequence[Batch]) -> list[Batch]:
    """Neighbours joined; as many micro-batches as before, of which the first are empty.

    `batches` are those of one optimizer step, the longest rows in the first. All ranks join the same ones.
    """
    if trainer.room is None or trainer.loss_type not in BY_TOKENS:
        return list(batches)
    size = len(batches[0]["completion_ids"])
    parts = grouped(_widest(trainer, batches), size, trainer.room)
    found = [joined(batches[part.start : part.stop]) for part in parts]
    return [*([{}] * (len(batches) - len(found))), *found]


def grouped(widest: Sequence[Length], size: int, room: Room) -> list[range]:
    """Neighbours that fit into one micro-batch, as few as possible; `widest` descends, each of `size` rows.

    >>> grouped([Length(10, 90), Length(10, 40), Length(10, 15), Length(10, 10)], 4, Room(4, Length(20, 100)))
    [range(0, 1), range(1, 3), range(3, 4)]
    """
    parts, start = list[range](), 0
    for end in range(1, len(widest) + 1):
        if end == len(widest) or not room.holds((end + 1 - start) * size, longest(widest[start : end + 1])):
            parts.append(range(start, end))
            start = end
    return parts


def _widest(trainer: Any, batches: Sequence[Batch]) -> list[Length]:
    """Of each micro-batch, over the ranks: they meet in the metrics of each loss, so they must have as many."""
    found = torch.tensor([longest(lengths(batch)) for batch in batches], device=trainer.accelerator.device)
    if trainer.accelerator.num_processes > 1:
        all_reduce(found, ReduceOp.MAX)
    return [Length(*row) for row in found.tolist()]
