"""Rows of like length share a micro-batch, and a micro-batch is only as wide as its own longest prompt and completion.

TRL pads all completions of a generation to its longest, shuffles them and splits them into micro-batches. Here rows
change places only where the sum over the micro-batches is learned from in one optimizer step, so a step learns from the
same rows, and its gradient is the same but for rounding. The longest come first: ranks wait less for each other, and
memory is taken once. Positions are relative in the models that are trained, so that padding on the left can be cut.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import gcd
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from trl.trainer.utils import split_tensor_dict

Batch = dict[str, Any]

SHARE = "share_of_tokens"  # a micro-batch's, in units of the mean of those that it was dealt with
TOKEN_MEANS = ("entropy", "sampling/sampling_logp_difference/mean")
CLIP_MEANS = ("clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean", "cispo_clip_ratio")


class Length(NamedTuple):
    """Tokens of one row."""

    prompt: int
    completion: int


def fitted(trainer: Any, batches: Sequence[Batch]) -> list[Batch]:
    """The micro-batches of a generation, dealt by length and cut."""
    args, found = trainer.args, list(batches)
    # So many micro-batches in a row lie in one optimizer step, whichever the generation and the iteration.
    together = gcd(args.steps_per_generation, args.gradient_accumulation_steps)
    if together > 1 and is_sum_over_rows(trainer):
        for start in range(0, len(found), together):
            few = slice(start, start + together)
            found[few] = _with_shares(trainer, dealt(found[few]))
    return [cut(batch, trainer.pad_to_multiple_of or 1) for batch in found]


def is_sum_over_rows(trainer: Any) -> bool:
    """Whether the loss of an optimizer step is a sum over its rows, each with a weight that no other row changes.

    It is for the means over rows of micro-batches of one size (grpo, sapo, dr_grpo, luspo), and where the tokens of the
    whole generation divide (dapo, cispo, vespo). It is not where those of one micro-batch do (bnpo, the bonus for
    entropy), decide which of them are learned from, or are balanced over experts.
    """
    args = trainer.args
    by_micro_batch = args.loss_type == "bnpo" or args.entropy_coef or args.top_entropy_quantile < 1
    return not (by_micro_batch or trainer.aux_loss_enabled)


def dealt(batches: Sequence[Batch]) -> list[Batch]:
    """The rows of these micro-batches, the longest in the first."""
    joined = {name: _joined([batch[name] for batch in batches]) for name in batches[0]}
    order = order_of(lengths(joined), len(batches))
    parts: list[Batch] = split_tensor_dict({name: _taken(value, order) for name, value in joined.items()}, len(batches))
    return parts


def order_of(rows: Sequence[Length], parts: int) -> list[int]:
    """The rows from long to short. Of three ways to say which is longer, that which leaves the least padding.

    >>> order_of([Length(3, 9), Length(3, 100), Length(3, 8), Length(3, 90)], parts=2)
    [1, 3, 0, 2]
    """
    size = len(rows) // parts

    def width(order: Sequence[int]) -> int:
        return sum(sum(_longest(rows[row] for row in order[at : at + size])) for at in range(0, len(rows), size))

    def sorted_by(measure: Callable[[Length], int]) -> list[int]:
        return sorted(range(len(rows)), key=lambda row: -measure(rows[row]))

    measures: list[Callable[[Length], int]] = [attrgetter("completion"), sum, attrgetter("prompt")]
    return min((sorted_by(measure) for measure in measures), key=width)


def lengths(batch: Batch) -> list[Length]:
    """Of each row; a completion that is masked as a whole has none."""
    counts = torch.stack([batch["prompt_mask"].sum(1), batch["completion_mask"].sum(1)], dim=1)
    return [Length(*row) for row in counts.tolist()]


def cut(batch: Batch, multiple: int = 1) -> Batch:
    """Without the columns that are padding in every row: prompts have theirs on the left, the rest on the right.

    Widths stay multiples of `multiple`. Unsloth's log-probabilities are wider than the completions, by the longest left
    padding of the generation, and begin where its shortest prompt ends.
    """
    longest = _longest(lengths(batch))
    prompts, written = batch["prompt_ids"].shape[1], batch["completion_ids"].shape[1]
    prompt = min(_up(longest.prompt, multiple), prompts)
    completion = min(_up(longest.completion, multiple), written)

    def narrow(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dim() != 2:
            return value
        if name.startswith("prompt"):
            return value[:, prompts - prompt :]
        wider = value.shape[1] - written
        return value[:, : completion + max(wider - (prompts - prompt), 0)]

    return {name: narrow(name, value) for name, value in batch.items()}


@contextmanager
def weighed(trainer: Any, batch: Batch) -> Iterator[None]:
    """Within, the loss of `batch` is logged: its means over tokens are weighed, for TRL averages over micro-batches."""
    metrics, share = trainer._metrics["train"], batch.get(SHARE, 1.0)
    logged = {name: len(metrics.get(name, ())) for name in _means_over_tokens(trainer, batch)}
    yield
    for name, before in logged.items():
        if name in metrics:
            metrics[name][before:] = [share * value for value in metrics[name][before:]]


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
    tokens = torch.stack([batch["completion_mask"].sum() for batch in batches])
    counts = trainer.accelerator.reduce(tokens, reduction="sum").tolist()
    mean = max(sum(counts), 1) / len(counts)
    return [{**batch, SHARE: count / mean} for batch, count in zip(batches, counts, strict=True)]


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor) and first.dim():
        return torch.cat(list(values))
    return list(chain.from_iterable(values)) if isinstance(first, list) else first


def _taken(value: Any, order: Sequence[int]) -> Any:
    if isinstance(value, torch.Tensor) and value.dim():
        return value[torch.tensor(order, device=value.device)]
    return [value[row] for row in order] if isinstance(value, list) else value


def _longest(rows: Iterable[Length]) -> Length:
    """Over these rows, of each part; at least 1, because a loss cannot score 0 columns."""
    prompts, completions = zip(*rows, strict=True)
    return Length(max(1, *prompts), max(1, *completions))


def _up(width: int, multiple: int) -> int:
    return -(-width // multiple) * multiple
