"""Yardsticks: rows to train on, and held-out rows that are never trained on, whatever the seed.

The held-out rows are in two parts: settings are chosen on `choose` and reported on `report`, for what was chosen among
many on some rows looks better on them than it is.
"""

import random
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from grpo_job.run_folder.files import read_jsonl, write_jsonl
from tools.sample import problems

Row = dict[str, Any]
Part = Literal["choose", "report"]

Name = Literal["sums2", "sums3", "words", "gsm8k"]

NAMES, PARTS = get_args(Name), get_args(Part)
TRAIN_ROWS, HELD_OUT_ROWS = 3000, 500

# The format of the tutorial, shown by an example: a small model does not write tags that it was only told of.
PROMPT = """Solve the problem. Respond in the following format:
<reasoning>
...
</reasoning>
<answer>
...
</answer>

For example, for the question "Tom has 3 apples and buys 4 more. How many has he?" respond:
<reasoning>
3 + 4 = 7
</reasoning>
<answer>
7
</answer>"""


class Rows(NamedTuple):
    """All rows of a yardstick, before a seed draws those that a run trains on."""

    train: Sequence[Row]
    held_out: dict[Part, Sequence[Row]]


def write(name: str, folder: Path, *, seed: int, part: Part = "choose", gsm8k: Path | None = None) -> tuple[Path, Path]:
    """Write the rows of one run to `folder`; the files to train on and to evaluate on.

    `seed` draws and orders at most 3,000 rows to train on. `gsm8k`: the folder of GSM8K's `train.jsonl` and
    `test.jsonl`.
    """
    rows = gsm8k_rows(gsm8k) if name == "gsm8k" else GENERATED[name]()
    drawn = random.Random(f"{name} {seed}").sample(rows.train, min(TRAIN_ROWS, len(rows.train)))
    train, held_out = folder / f"{name}-train-{seed}.jsonl", folder / f"{name}-{part}.jsonl"
    write_jsonl(train, drawn)  # atomically, for another run may be reading the same file
    write_jsonl(held_out, rows.held_out[part])
    return train, held_out


def sums(digits: int) -> Rows:
    """Sums of two numbers. A pair is held out in both orders."""
    numbers = range(10 ** (digits - 1), 10**digits)
    shuffle = random.Random(f"sums of {digits} digits")
    if digits == 2:
        pairs = list(combinations_with_replacement(numbers, 2))
        shuffle.shuffle(pairs)
    else:
        drawn = ((shuffle.choice(numbers), shuffle.choice(numbers)) for _ in range(20 * TRAIN_ROWS))
        pairs = list(dict.fromkeys((min(pair), max(pair)) for pair in drawn))
    return _split([_sum(*shuffle.sample(pair, 2)) for pair in pairs])


def words() -> Rows:
    """Word problems of the kind that the embedded sample has; problems with held-out numbers are only measured with."""
    train = problems.make_rows(problems.training_problems, 2 * TRAIN_ROWS, random.Random("words to train on"))
    held_out = problems.make_rows(problems.held_out_problems, 2 * HELD_OUT_ROWS, random.Random("words held out"))
    return Rows([dict(row) for row in train], _parts([dict(row) for row in held_out]))


def gsm8k_rows(folder: Path | None) -> Rows:
    """GSM8K: settings are chosen on some of its training rows, and reported on all of its test rows."""
    if folder is None:
        raise SystemExit("--gsm8k: the yardstick gsm8k needs a folder with GSM8K's train.jsonl and test.jsonl")
    train, test = (read_jsonl(folder / f"{split}.jsonl") for split in ("train", "test"))
    random.Random("gsm8k").shuffle(train)
    return Rows(train[HELD_OUT_ROWS:], {"choose": train[:HELD_OUT_ROWS], "report": test})


GENERATED = {"sums2": lambda: sums(2), "sums3": lambda: sums(3), "words": words}


def _sum(first: int, second: int) -> Row:
    return {"question": f"What is {first} + {second}?", "answer": str(first + second)}


def _split(rows: Sequence[Row]) -> Rows:
    return Rows(rows[2 * HELD_OUT_ROWS :], _parts(rows))


def _parts(rows: Sequence[Row]) -> dict[Part, Sequence[Row]]:
    return {part: rows[n * HELD_OUT_ROWS : (n + 1) * HELD_OUT_ROWS] for n, part in enumerate(PARTS)}
