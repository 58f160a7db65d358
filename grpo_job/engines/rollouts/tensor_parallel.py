"""Rollouts of ranks whose vLLMs are one, spread over their GPUs (tensor parallelism).

Such ranks must ask the same prompts in the same order, with the same seeds.
"""

from typing import Any

import torch
import torch.distributed as dist

from grpo_job.engines.rollouts.generate import Rollouts


class SpreadRollouts(Rollouts):
    """Each rank asks the prompts of its whole group, and keeps the answers to its own."""

    def __init__(self, trainer: Any, *arguments: Any, **options: Any) -> None:
        self.group = trainer.vllm_generation.tp_group
        super().__init__(trainer, *arguments, **options)

    def generate(self, prompts: list[list[int]], images: Any, num_generations: int, profiler: Any = None) -> Any:
        """See `Rollouts.generate`; all ranks of the group call it together, each with as many prompts."""
        together = gathered(prompts, self.group)
        # On GPUs without NVLink the gradients' all-reduce must be over before vLLM's begins (huggingface/trl#3671).
        dist.barrier(device_ids=[torch.cuda.current_device()])
        _, completions, log_probs, more = super().generate(together, images, num_generations, profiler)
        own = part_of(dist.get_rank(self.group), len(prompts))
        return prompts, completions[own], log_probs[own], more


def gathered(prompts: list[list[int]], group: Any) -> list[list[int]]:
    """The prompts of all ranks of the group, in their order."""
    parts: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(parts, prompts, group=group)
    return [prompt for part in parts for prompt in part]


def part_of(place: int, each: int) -> slice:
    """Which of the answers are those of the rank at this place, of `each` a rank.

    >>> part_of(1, 3)
    slice(3, 6, None)
    """
    return slice(place * each, (place + 1) * each)
