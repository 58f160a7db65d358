"""Which rows a step learns from: decided by its position alone (but see dynamic_sampling.py).

TRL reshuffles by drawing on from one generator, so a run that resumes in a later epoch sees
other prompts. Here the whole run is one epoch over a stream of seeded permutations.
"""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import torch
from torch.utils.data import Sampler


class WarmRows(NamedTuple):
    """What comes first: `batches` of `size` rows out of `rows`, each batch given `copies` times."""

    rows: Sequence[int] = ()
    size: int = 1
    copies: int = 1
    batches: int = 0


class RowStream(Sampler[int]):
    """Row indices for a whole run, each chunk of prompts repeated as GRPO wants it.

    `chunk` prompts make one generation; each is repeated `group` times in a row (its completions),
    and the chunk `repeats` times (the micro-steps that learn from it). `length` indices in all.
    Leftover rows of a pass open the next one, so no row is dropped. ValueError where `rows` do not fill a chunk.
    `first`: see `WarmRows`; the rest is as without it.
    """

    def __init__(
        self,
        rows: int,
        *,
        chunk: int,
        group: int,
        repeats: int,
        length: int,
        shuffle: bool,
        seed: int,
        first: WarmRows | None = None,
    ):
        if rows < chunk:
            raise ValueError(f"{rows} rows cannot fill a generation of {chunk} different prompts")
        self.rows, self.chunk, self.group, self.repeats = rows, chunk, group, repeats
        self.length, self.shuffle, self.seed, self.first = length, shuffle, seed, first or WarmRows()

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        return islice(self._indices(), self.length)

    def _indices(self) -> Iterator[int]:
        warm = (self.first.rows[place] for place in self._passes(len(self.first.rows)))
        for _ in range(self.first.batches):
            batch = list(islice(warm, self.first.size))
            for _ in range(self.first.copies):
                yield from batch
        rows = self._passes(self.rows)
        while True:
            chunk = list(islice(rows, self.chunk))
            for _ in range(self.repeats):
                for row in chunk:
                    yield from [row] * self.group

    def _passes(self, rows: int) -> Iterator[int]:
        for number in count():
            yield from permutation(rows, number, shuffle=self.shuffle, seed=self.seed)


def permutation(rows: int, number: int, *, shuffle: bool, seed: int) -> list[int]:
    """The rows in their order in pass `number`."""
    if not shuffle:
        return list(range(rows))
    order: list[int] = torch.randperm(rows, generator=torch.Generator().manual_seed(seed + number)).tolist()
    return order
