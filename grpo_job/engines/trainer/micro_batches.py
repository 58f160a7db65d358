"""The micro-batches that a generation is learned from, and what each weighs in TRL's metrics.

Rows change places only where the sum over the micro-batches is learned from in one optimizer step, so a step learns
from the same rows, and its gradient is the same but for rounding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import gcd
from typing import Any

import torch

from grpo_job.engines.trainer.lengths import Batch, cut, dealt
from grpo_job.engines.trainer.merging import merged

# A micro-batch's, in units of the mean of those that it was dealt with.
SHARE, SHARE_OF_ROWS = "share_of_tokens", "share_of_rows"
TOKEN_MEANS = ("entropy", "sampling/sampling_logp_difference/mean")
CLIP_MEANS = ("clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean", "cispo_clip_ratio")
MEANS = (*CLIP_MEANS, "kl", "completion_length")  # over rows or over tokens


def fitted(trainer: Any, batches: Sequence[Batch]) -> list[Batch]:
    """The micro-batches of a generation, dealt by length, merged and cut; an empty one has nothing to learn from."""
    args, found = trainer.args, list(batches)
    # So many micro-batches in a row lie in one optimizer step, whichever the generation and the iteration.
    together = gcd(args.steps_per_generation, args.gradient_accumulation_steps)
    if together > 1 and is_sum_over_rows(trainer):
        whole_steps = together == args.gradient_accumulation_steps
        for start in range(0, len(found), together):
            few = slice(start, start + together)
            parts = dealt(found[few])
            found[few] = _with_shares(trainer, merged(trainer, parts) if whole_steps else parts)
    return [cut(batch, trainer.pad_to_multiple_of or 1) if batch else {} for batch in found]


def is_sum_over_rows(trainer: Any) -> bool:
    """Whether the loss of an optimizer step is a sum over its rows, each with a weight that no other row changes.

    It is for the means over rows of micro-batches of one size (grpo, sapo, dr_grpo, luspo), and where the tokens of the
    whole generation divide (dapo, cispo, vespo). It is not where those of one micro-batch do (bnpo, the bonus for
    entropy), decide which of them are learned from, or are balanced over experts.
    """
    args = trainer.args
    by_micro_batch = args.loss_type == "bnpo" or args.entropy_coef or args.top_entropy_quantile < 1
    return not (by_micro_batch or trainer.aux_loss_enabled)


@contextmanager
def weighed(trainer: Any, batch: Batch) -> Iterator[None]:
    """Within, the loss of `batch` is logged: its means are weighed by rows or tokens, for TRL averages all alike."""
    metrics, by_token = trainer._metrics["train"], set(_means_over_tokens(trainer, batch))
    shares = {name: batch.get(SHARE if name in by_token else SHARE_OF_ROWS, 1.0) for name in (*MEANS, *by_token)}
    logged = {name: len(metrics.get(name, ())) for name in shares}
    yield
    for name, before in logged.items():
        if name in metrics:
            metrics[name][before:] = [shares[name] * value for value in metrics[name][before:]]


def _means_over_tokens(trainer: Any, batch: Batch) -> Iterator[str]:
    """Names of metrics. What is not among them is a mean over rows, or the extreme of some."""
    yield from TOKEN_MEANS
    if "max_left_pad" not in batch:  # Unsloth's is a mean over rows
        yield "kl"
    if trainer.importance_sampling_level == "token":
        yield from CLIP_MEANS
    if trainer.args.vllm_importance_sampling_mode.startswith("token"):
        yield "sampling/importance_sampling_ratio/mean"


def _with_shares(trainer: Any, batches: list[Batch]) -> list[Batch]:
    """Each with its share of the tokens, those of all ranks: their micro-batches meet in TRL's metrics."""
    full = [batch for batch in batches if batch]
    tokens = torch.stack([batch["completion_mask"].sum() for batch in full])
    counts = trainer.accelerator.reduce(tokens, reduction="sum").tolist()
    rows = [len(batch["completion_ids"]) for batch in full]
    mean, mean_rows = max(sum(counts), 1) / len(full), sum(rows) / len(full)
    shares = ({SHARE: count / mean, SHARE_OF_ROWS: size / mean_rows} for count, size in zip(counts, rows, strict=True))
    return [{**batch, **next(shares)} if batch else batch for batch in batches]
