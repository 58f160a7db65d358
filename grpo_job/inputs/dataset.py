"""Reads rows as `prompt` and `answer`, and counts those left out by reason.

No row disappears without a number, and a held-out row never occurs in training. Where rows come
from is in `sources.py`, what a row means in `rows.py`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from grpo_job.evaluation.drawing import drawn
from grpo_job.inputs import row_values
from grpo_job.inputs.questions import normalised
from grpo_job.inputs.rows import Row, row_of
from grpo_job.inputs.sources import TEST, TRAIN, RowSource, Split, Splits, held_out_by_name
from grpo_job.outcomes import InvalidRun
from grpo_job.settings import example
from grpo_job.settings.schema import Settings

TokenCounter = Callable[[Sequence[list[dict[str, str]]]], list[int]]

HELD_OUT_SHARE = 0.1  # of all rows at most, if there is no split to evaluate on


@dataclass(frozen=True)
class Counts:
    """Rows of one split: read, kept, and left out by reason."""

    read: int = 0
    kept: int = 0
    empty: int = 0
    unanswerable: int = 0
    duplicate: int = 0
    too_long: int = 0
    in_training: int = 0
    set_apart: int = 0  # to choose a checkpoint by

    def sentence(self) -> str:
        """Such as `5 of 8 rows (left out: 1 empty, 2 duplicate)`."""
        return f"{self.kept} of {self.read} rows{self.left_out()}"

    def left_out(self) -> str:
        """Such as ` (left out: 1 empty, 2 duplicate)`; empty if all were kept."""
        reasons = {name: number for name, number in vars(self).items() if name not in ("read", "kept") and number}
        reason = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in reasons.items())
        return f" (left out: {reason})" if reason else ""


class Rows(NamedTuple):
    """`train` and `held_out` rows: {"prompt": messages, "question", "answer", "answers": list, "columns"}.

    `answer` is the first of the right `answers`, and empty where there is none. `columns` holds the row as it was
    read, as JSON: so it reaches rewards through any library unchanged. `revision` is the commit on the Hub, None for
    rows from elsewhere. `lengths` are the tokens of all training prompts, also of those that are too long. `digest` is
    the start of the SHA-256 of the training rows in their order, in hex. `unused_split` seems meant to evaluate on.
    """

    train: list[Row]
    held_out: list[Row]
    train_counts: Counts
    held_out_counts: Counts
    revision: str | None
    lengths: list[int]
    digest: str
    unused_split: str = ""


def load(settings: Settings, lengths: TokenCounter, *, needs_gold: bool = True) -> Rows:
    """Read, check and split the rows. `lengths` counts the tokens of prompts; without `needs_gold` rows need no answer.

    Raises `InvalidRun` if the source, a split or a column is missing, or too few rows are left.
    """
    revision, column = settings.dataset_revision, settings.prompt_column
    source = RowSource("GRPO_DATASET", settings.dataset, settings.dataset_config, revision, column).pinned()
    splits = source.open()
    read = _split(splits, settings.dataset_split, "GRPO_DATASET_SPLIT", source, settings, needs_gold)
    held_read, place, unused = _held_out(splits, source, settings, needs_gold)
    if held_read is None:
        read, held_read = _set_apart(read, settings)
    training = _Filter(settings, lengths, needs_gold)
    train, train_counts = training.keep(read)
    known = frozenset(asked_of(row, settings) for row in train)
    held_out, held_counts = _Filter(settings, lengths, needs_gold, known).keep(held_read)
    _require_enough(train, train_counts, held_out, held_counts, place, settings)
    digest = hashlib.sha256("\n".join(row["columns"] for row in train).encode()).hexdigest()[:16]
    kept = drawn(held_out, settings.eval_rows, settings.seed)
    return Rows(train, kept, train_counts, held_counts, source.commit, training.measured, digest, unused)


def asked_of(row: Row, settings: Settings) -> str:
    """The question of a row, with the system message that it brings: under another one it is another question."""
    usual = prompt_of(row["question"], settings)[:-1]
    own = [message for message in row["prompt"][:1] if message["role"] == "system" and message not in usual]
    return " ".join(normalised(text) for text in (*(message["content"] for message in own), row["question"]))


def prompt_of(question: str, settings: Settings) -> list[dict[str, str]]:
    """The chat: GRPO_SYSTEM_PROMPT if set, with GRPO_EXAMPLE, then the question."""
    system = [{"role": "system", "content": settings.system_prompt}] if settings.system_prompt else []
    messages = [*system, {"role": "user", "content": question}]
    return row_values.with_example(messages, example.given(settings.example))


@dataclass
class _Filter:
    """Keeps the usable rows of one split and counts the others; `forbidden` questions occur in training."""

    settings: Settings
    lengths: TokenCounter
    needs_gold: bool = True
    forbidden: frozenset[str] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)
    measured: list[int] = field(default_factory=list)  # tokens of each prompt that is otherwise usable

    def keep(self, read: Sequence[Row]) -> tuple[list[Row], Counts]:
        rows, seen = [], set[str]()
        for row in read:
            key = asked_of(row, self.settings)
            if reason := self._fault_of(row, key, seen):
                self.counts[reason] = self.counts.get(reason, 0) + 1
            else:
                seen.add(key)
                rows.append(row)
        short = self._short_enough(rows)
        self.counts["too_long"] = len(rows) - len(short)
        return short, Counts(read=len(read), kept=len(short), **self.counts)

    def _fault_of(self, row: Row, key: str, seen: set[str]) -> str | None:
        if not row["question"]:
            return "empty"
        if not row["answer"] and self.needs_gold:
            return "unanswerable"
        if key in seen:
            return "duplicate"
        return "in_training" if key in self.forbidden else None

    def _short_enough(self, rows: list[Row]) -> list[Row]:
        self.measured = self.lengths([row["prompt"] for row in rows])
        limit = self.settings.max_prompt_length
        return [row for row, tokens in zip(rows, self.measured, strict=True) if tokens <= limit]


def _held_out(
    splits: Splits, source: RowSource, settings: Settings, needs_gold: bool
) -> tuple[list[Row] | None, str, str]:
    """The rows of the split to evaluate on, None where there is none; their place for people; and an unused split."""
    if settings.eval_dataset:
        config, column = settings.eval_dataset_config, settings.prompt_column
        source = RowSource("GRPO_EVAL_DATASET", settings.eval_dataset, config, None, column).pinned()
        splits = source.open()
        name = settings.eval_split or (TEST if TEST in splits else TRAIN)
    else:
        name = settings.eval_split or TEST
        if settings.eval_split is None and TEST not in splits:
            return None, source.name, held_out_by_name(splits, settings.dataset_split)
    rows = _split(splits, name, "GRPO_EVAL_SPLIT", source, settings, needs_gold)
    unused = held_out_by_name(splits, TRAIN) if name == TRAIN and settings.eval_split is None else ""
    return rows, _place(splits, name, source), unused


def _place(splits: Splits, name: str, source: RowSource) -> str:
    """Such as `the split 'test' of rows (its splits: train, test)`; the name of a source that has only one."""
    return source.name if len(splits) == 1 else f"the split {name!r} of {source.name} (its splits: {', '.join(splits)})"


def _split(
    splits: Splits, name: str, variable: str, source: RowSource, settings: Settings, needs_gold: bool
) -> list[Row]:
    """The rows of one split, which has the columns that are needed."""
    if name not in splits:
        raise InvalidRun(f"{variable}: {name!r} was given; {source.name} has the splits {', '.join(splits)}")
    split = splits[name]()
    needed = [("GRPO_PROMPT_COLUMN", settings.prompt_column)]
    if needs_gold:
        needed.append(("GRPO_ANSWER_COLUMN", settings.answer_column))
    faults = [
        f"{variable}: {column!r} was given; {_place(splits, name, source)} has the columns {', '.join(there)}"
        + (_hint(split.column_names) if variable == "GRPO_ANSWER_COLUMN" else "")
        for variable, column in needed
        if (there := _instead_of(column, split))
    ]
    if faults:
        raise InvalidRun(*faults)
    part = " of the held-out rows" if variable == "GRPO_EVAL_SPLIT" else ""
    return [row_of(item, place + part, settings, needs_gold) for place, item in split.numbered()]


def _instead_of(column: str, split: Split) -> list[str]:
    """The columns that are there, if no row has this one; empty if one has."""
    outer, dot, _ = column.partition(".")
    if column in split.column_names:
        return []
    if not dot or outer not in split.column_names:
        return split.column_names
    cells = [item[outer] for _, item in split.numbered()]
    if any(row_values.at({outer: cell}, column) is not None for cell in cells):
        return []
    inner = dict.fromkeys(f"{outer}.{name}" for cell in cells if isinstance(cell, Mapping) for name in cell)
    return [*split.column_names, *inner]


def _hint(columns: Sequence[str]) -> str:
    talk = next((name for name in ("messages", "conversations") if name in columns), None)
    return f"; GRPO_ANSWER_COLUMN={talk} takes the last assistant turn" if talk else ""


def _set_apart(rows: Sequence[Row], settings: Settings) -> tuple[list[Row], list[Row]]:
    """Hold out the rows with the lowest question hashes: the same in every run, equal questions together."""
    keys = [hashlib.sha256(asked_of(row, settings).encode()).hexdigest() for row in rows]
    number = min(settings.eval_rows, max(1, int(len(rows) * HELD_OUT_SHARE)))
    chosen = set(sorted(set(keys))[:number])
    held = [row for row, key in zip(rows, keys, strict=True) if key in chosen]
    return [row for row, key in zip(rows, keys, strict=True) if key not in chosen], held


def _require_enough(
    train: Sequence[Row],
    train_counts: Counts,
    held_out: Sequence[Row],
    held_counts: Counts,
    place: str,
    settings: Settings,
) -> None:
    needed = settings.prompts_per_generation
    if len(train) < needed:
        raise InvalidRun(
            f"GRPO_DATASET: {settings.dataset!r} was given; there are {train_counts.sentence()} to train on and "
            f"{held_counts.sentence()} to evaluate on, but one generation needs {needed} different prompts; "
            f"allowed: more rows{_cures(settings, train_counts, held_counts)}, or a smaller "
            "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE"
        )
    if not held_out:
        raise InvalidRun(
            f"GRPO_EVAL_SPLIT or GRPO_EVAL_DATASET: {place} has {held_counts.sentence()} left to "
            f"evaluate on; allowed: rows with {settings.prompt_column!r} and {settings.answer_column!r} that do not "
            "occur in training"
        )


def _cures(settings: Settings, *counts: Counts) -> str:
    """What would keep the rows that were left out, by the reasons that occur."""
    cures = {
        "empty": f"a question in each (GRPO_PROMPT_COLUMN={settings.prompt_column})",
        "unanswerable": f"an answer in each (GRPO_ANSWER_COLUMN={settings.answer_column})",
        "duplicate": f"questions that differ (GRPO_PROMPT_COLUMN={settings.prompt_column})",
        "too_long": f"a larger GRPO_MAX_PROMPT_LENGTH (now {settings.max_prompt_length})",
    }
    return "".join(f", {cure}" for reason, cure in cures.items() if any(getattr(each, reason) for each in counts))
