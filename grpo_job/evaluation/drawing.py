"""Which rows are evaluated, and which are set apart to choose by: drawn by the seed, whatever their order. Pure."""

import hashlib
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]

MOST_SET_APART = 0.2  # of the training rows


def drawn(rows: Sequence[Row], number: int, seed: int) -> list[Row]:
    """`number` of the rows in their own order, all where there are no more.

    Those with the lowest hash of seed and question: the same wherever a row stands, and fewer are a part of more.

    >>> [row["question"] for row in drawn([{"question": "a"}, {"question": "b"}, {"question": "c"}], 2, seed=0)]
    ['a', 'c']
    """
    if len(rows) <= number:
        return list(rows)
    chosen = set(sorted(range(len(rows)), key=lambda place: _rank(rows[place], seed))[:number])
    return [row for place, row in enumerate(rows) if place in chosen]


def set_apart(train: Sequence[Row], number: int, seed: int) -> tuple[list[Row], list[Row]]:
    """What is left to train on, and the rows to choose a checkpoint by: at most a fifth, and at least one."""
    chosen = drawn(train, max(1, min(number, int(MOST_SET_APART * len(train)))), seed)
    taken = {id(row) for row in chosen}
    return [row for row in train if id(row) not in taken], chosen


def digest(rows: Sequence[Row]) -> str:
    """SHA-256 of questions and answers, in hex: says whether two runs were evaluated on the same rows."""
    asked = hashlib.sha256()
    for row in rows:
        asked.update(f"{row['question']}\x00{row['answer']}\x00".encode())
    return asked.hexdigest()


def _rank(row: Row, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{row['question']}".encode()).hexdigest()
