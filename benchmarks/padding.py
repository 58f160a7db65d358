"""How much of what is trained on is padding, for lengths as real models have them. A simulation: no GPU, no model.

    python benchmarks/padding.py

Completions are lognormal (std as large as the mean) and truncated at a limit; those of a group share a prompt. TRL pads
all rows of a generation to its longest; `cut` pads a micro-batch to its own longest; `dealt` also puts rows of like
length into one, as the job does.
"""

import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grpo_job.engines.trainer.lengths import Length, order_of

LIMIT, GROUP, GENERATIONS, SEED = 800, 8, 200, 42
PROMPT, PROMPT_SPREAD = 150, 0.25  # mean tokens, and std of the logarithm


class Shares(NamedTuple):
    """Padding among all tokens that a layer computes."""

    trl: float
    cut: float
    dealt: float


def drawn(chance: random.Random, rows: int, mean: float) -> list[Length]:
    """The rows of one generation in TRL's random order."""
    prompts = [_lognormal(chance, PROMPT, PROMPT_SPREAD) for _ in range(rows // GROUP)]
    spread = math.sqrt(math.log(2))  # std = mean
    found = [Length(prompts[row // GROUP], min(_lognormal(chance, mean, spread), LIMIT)) for row in range(rows)]
    chance.shuffle(found)
    return found


def _lognormal(chance: random.Random, mean: float, spread: float) -> int:
    return max(1, round(chance.lognormvariate(math.log(mean) - spread**2 / 2, spread)))


def computed(rows: Sequence[Length], size: int) -> int:
    """Tokens of all micro-batches of `size` rows, padding included.

    >>> computed([Length(3, 5), Length(2, 9), Length(4, 1), Length(3, 1)], size=2)
    34
    """
    return sum(size * (max(prompts) + max(completions)) for prompts, completions in _micro_batches(rows, size))


def _micro_batches(rows: Sequence[Length], size: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    for at in range(0, len(rows), size):
        prompts, completions = zip(*rows[at : at + size], strict=True)
        yield prompts, completions


def shares(rows: int, size: int, mean: float) -> Shares:
    """Over many generations of `rows` rows in micro-batches of `size`, all of one optimizer step."""
    chance = random.Random(SEED)
    real, padded = 0, [0, 0, 0]
    for _ in range(GENERATIONS):
        found = drawn(chance, rows, mean)
        real += sum(map(sum, found))
        dealt = [found[row] for row in order_of(found, rows // size)]
        for place, (order, width) in enumerate(((found, rows), (found, size), (dealt, size))):
            padded[place] += computed(order, width)
    return Shares(*(1 - real / each for each in padded))


def main() -> None:
    print("| mean length | rows | micro-batch | TRL | cut | dealt and cut | tokens computed, of TRL's |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for mean in (100, 200):
        for rows in (64, 128):
            for size in (8, 16, 32):
                found = shares(rows, size, mean)
                columns = (mean, rows, size, *(f"{share:.0%}" for share in found))
                print("|", *(f"{column} |" for column in columns), f"{(1 - found.trl) / (1 - found.dealt):.0%} |")


if __name__ == "__main__":
    main()
