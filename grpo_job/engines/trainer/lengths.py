"""Rows of like length share a micro-batch, and a micro-batch is only as wide as its own longest prompt and completion.

TRL pads all completions of a generation to its longest, shuffles them and splits them into micro-batches. Here the
longest come first: ranks wait less for each other, and memory is taken once. Positions are relative in the models that
are trained, so that padding on the left can be cut.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from trl.trainer.utils import split_tensor_dict

Batch = dict[str, Any]


class Length(NamedTuple):
    """Tokens of one row."""

    prompt: int
    completion: int


def dealt(batches: Sequence[Batch]) -> list[Batch]:
    """The rows of these micro-batches, the longest in the first."""
    whole = joined(batches)
    order = order_of(lengths(whole), len(batches))
    parts: list[Batch] = split_tensor_dict(of_rows(whole, order), len(batches))
    return parts


def of_rows(batch: Batch, rows: Sequence[int]) -> Batch:
    """These rows of a batch."""
    return {name: _taken(value, rows) for name, value in batch.items()}


def order_of(rows: Sequence[Length], parts: int) -> list[int]:
    """The rows from long to short. Of three ways to say which is longer, that which leaves the least padding.

    >>> order_of([Length(3, 9), Length(3, 100), Length(3, 8), Length(3, 90)], parts=2)
    [1, 3, 0, 2]
    """
    size = len(rows) // parts

    def width(order: Sequence[int]) -> int:
        return sum(sum(longest(rows[row] for row in order[at : at + size])) for at in range(0, len(rows), size))

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
    most = longest(lengths(batch))
    prompts, written = batch["prompt_ids"].shape[1], batch["completion_ids"].shape[1]
    prompt = min(_up(most.prompt, multiple), prompts)
    completion = min(_up(most.completion, multiple), written)

    def narrow(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dim() != 2:
            return value
        if name.startswith("prompt"):
            return value[:, prompts - prompt :]
        wider = value.shape[1] - written
        return value[:, : completion + max(wider - (prompts - prompt), 0)]

    return {name: narrow(name, value) for name, value in batch.items()}


def joined(batches: Sequence[Batch]) -> Batch:
    """The rows of batches that are padded alike."""
    return {name: _joined([batch[name] for batch in batches]) for name in batches[0]}


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor) and first.dim():
        return torch.cat(list(values))
    return list(chain.from_iterable(values)) if isinstance(first, list) else first


def _taken(value: Any, order: Sequence[int]) -> Any:
    if isinstance(value, torch.Tensor) and value.dim():
        return value[torch.tensor(order, device=value.device)]
    return [value[row] for row in order] if isinstance(value, list) else value


def longest(rows: Iterable[Length]) -> Length:
    """Over these rows, of each part; at least 1, because a loss cannot score 0 columns."""
    prompts, completions = zip(*rows, strict=True)
    return Length(max(1, *prompts), max(1, *completions))


def _up(width: int, multiple: int) -> int:
    return -(-width // multiple) * multiple
