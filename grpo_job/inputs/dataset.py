"""Reads rows as `prompt` and `answer`, and counts those left out by reason.

A held-out row never occurs in training. Sources are in `sources.py`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from grpo_job.inputs.sources import TEST, TRAIN, RowSource, Splits
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.schema import Settings

Row = dict[str, Any]
TokenCounter = Callable[[Sequence[list[dict[str, str]]]], list[int]]

HELD_OUT_SHARE = 0.1  # of all rows at most, if there is no split to evaluate on
# Punctuation of sentences: quotes, and stops and exclamation marks that belong to no number.
PUNCTUATION = re.compile("[,;:?\"'`\u2018\u2019\u201c\u201d]|\\.(?!\\d)|(?<!\\d)!")


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

    def sentence(self) -> str:
        """Such as `5 of 8 rows (left out: 1 empty, 2 duplicate)`."""
        return f"{self.kept} of {self.read} rows{self.left_out()}"

    def left_out(self) -> str:
        """Such as ` (left out: 1 empty, 2 duplicate)`; empty if all were kept."""
        reasons = {name: number for name, number in vars(self).items() if name not in ("read", "kept") and number}
        reason = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in reasons.items())
        return f" (left out: {reason})" if reason else ""


class Rows(NamedTuple):
    """`train` and `held_out` rows: {"prompt": messages, "question": str, "answer": str}.

    `revision` is the Hub commit, None for other sources.
    """

    train: list[Row]
    held_out: list[Row]
    train_counts: Counts
    held_out_counts: Counts
    revision: str | None


def load(settings: Settings, lengths: TokenCounter) -> Rows:
    """Read, check and split the rows. `lengths` counts the tokens of prompts.

    Raises `InvalidRun` if the source, a split or a column is missing, or too few rows are left.
    """
    source = RowSource("GRPO_DATASET", settings.dataset, settings.dataset_config, settings.dataset_revision).pinned()
    splits = source.open()
    raw = _split(splits, settings.dataset_split, "GRPO_DATASET_SPLIT", source, settings)
    held_raw = _held_out(splits, source, settings)
    if held_raw is None:
        raw, held_raw = _set_apart(raw, settings)
    train, train_counts = _Filter(settings, lengths).keep(raw)
    known = frozenset(normalised(row["question"]) for row in train)
    held_out, held_counts = _Filter(settings, lengths, known).keep(held_raw)
    _require_enough(train, train_counts, held_out, held_counts, settings)
    return Rows(train, held_out[: settings.eval_rows], train_counts, held_counts, source.commit)


def normalised(question: str) -> str:
    """A question without differences of case, spacing, Unicode form and sentence punctuation.

    >>> normalised("How many?  It costs $1,000.50, he said.")
    'how many it costs $1000.50 he said'
    """
    text = unicodedata.normalize("NFKC", question).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return " ".join(PUNCTUATION.sub(" ", text).split())


def gold(answer: Any) -> str:
    """The answer itself; for GSM8K's `work #### 72`, the part after the last `####`."""
    return str("" if answer is None else answer).rsplit("####", 1)[-1].strip()


def prompt_of(question: str, settings: Settings) -> list[dict[str, str]]:
    """The chat: GRPO_SYSTEM_PROMPT if set, then the question."""
    system = [{"role": "system", "content": settings.system_prompt}] if settings.system_prompt else []
    return [*system, {"role": "user", "content": question}]


@dataclass
class _Filter:
    """Keeps the usable rows of one split and counts the others; `forbidden` questions occur in training."""

    settings: Settings
    lengths: TokenCounter
    forbidden: frozenset[str] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)

    def keep(self, raw: Iterable[Mapping[str, Any]]) -> tuple[list[Row], Counts]:
        rows, seen, read = [], set[str](), 0
        for item in raw:
            read += 1
            row = _row(item, self.settings)
            key = normalised(row["question"])
            if reason := self._fault_of(row, key, seen):
                self.counts[reason] = self.counts.get(reason, 0) + 1
            else:
                seen.add(key)
                rows.append(row)
        short = self._short_enough(rows)
        self.counts["too_long"] = len(rows) - len(short)
        return short, Counts(read=read, kept=len(short), **self.counts)

    def _fault_of(self, row: Row, key: str, seen: set[str]) -> str | None:
        if not row["question"]:
            return "empty"
        if not row["answer"]:
            return "unanswerable"
        if key in seen:
            return "duplicate"
        return "in_training" if key in self.forbidden else None

    def _short_enough(self, rows: list[Row]) -> list[Row]:
        lengths = self.lengths([row["prompt"] for row in rows])
        return [row for row, tokens in zip(rows, lengths, strict=True) if tokens <= self.settings.max_prompt_length]


def _row(item: Mapping[str, Any], settings: Settings) -> Row:
    question = item[settings.prompt_column]
    question = "" if question is None else str(question).strip()
    return {"prompt": prompt_of(question, settings), "question": question, "answer": gold(item[settings.answer_column])}


def _held_out(splits: Splits, source: RowSource, settings: Settings) -> Any | None:
    """The split to evaluate on, None if there is none."""
    if settings.eval_dataset:
        source = RowSource("GRPO_EVAL_DATASET", settings.eval_dataset).pinned()
        splits = source.open()
        name = settings.eval_split or (TEST if TEST in splits else TRAIN)
    else:
        name = settings.eval_split or TEST
        if settings.eval_split is None and TEST not in splits:
            return None
    return _split(splits, name, "GRPO_EVAL_SPLIT", source, settings)


def _split(splits: Splits, name: str, variable: str, source: RowSource, settings: Settings) -> Any:
    """One split. Raises `InvalidRun` if it or a needed column is missing."""
    if name not in splits:
        raise InvalidRun(f"{variable}: {name!r} was given; {source.name} has the splits {', '.join(splits)}")
    columns = splits[name].column_names
    faults = [
        f"{variable}: {column!r} was given; {source.name} has the columns {', '.join(columns)}"
        for variable, column in (
            ("GRPO_PROMPT_COLUMN", settings.prompt_column),
            ("GRPO_ANSWER_COLUMN", settings.answer_column),
        )
        if column not in columns
    ]
    if faults:
        raise InvalidRun(*faults)
    return splits[name]


def _set_apart(raw: Iterable[Mapping[str, Any]], settings: Settings) -> tuple[list[Any], list[Any]]:
    """Hold out the rows with the lowest question hashes: the same in every run, equal questions together."""
    rows = list(raw)
    keys = [hashlib.sha256(normalised(str(row[settings.prompt_column])).encode()).hexdigest() for row in rows]
    number = min(settings.eval_rows, max(1, int(len(rows) * HELD_OUT_SHARE)))
    chosen = set(sorted(set(keys))[:number])
    held = [row for row, key in zip(rows, keys, strict=True) if key in chosen]
    return [row for row, key in zip(rows, keys, strict=True) if key not in chosen], held


def _require_enough(
    train: Sequence[Row], train_counts: Counts, held_out: Sequence[Row], held_counts: Counts, settings: Settings
) -> None:
    needed = max(1, settings.completions_per_generation // settings.num_generations)
    if len(train) < needed:
        raise InvalidRun(
            f"GRPO_DATASET: {settings.dataset!r} was given; it has {train_counts.sentence()} to train on, but one "
            f"generation needs {needed} different prompts; allowed: more rows, a larger GRPO_MAX_PROMPT_LENGTH "
            "if they are too long, or a smaller GRPO_PER_DEVICE_TRAIN_BATCH_SIZE"
        )
    if not held_out:
        raise InvalidRun(
            f"GRPO_EVAL_DATASET: {settings.eval_dataset or settings.dataset!r} has {held_counts.sentence()} "
            f"left to evaluate on; allowed: rows with {settings.prompt_column!r} and {settings.answer_column!r} "
            "that do not occur in training"
        )
