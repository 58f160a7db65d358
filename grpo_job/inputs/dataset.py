"""Reads rows as `prompt` and `answer`, and counts those left out by reason.

No row disappears without a number, and a held-out row never occurs in training. Where rows come
from is in `sources.py`, what their cells mean in `row_values.py`.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from grpo_job.inputs import row_values
from grpo_job.inputs.row_values import Unreadable
from grpo_job.inputs.sources import TEST, TRAIN, RowSource, Splits
from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import tags
from grpo_job.settings import example
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
    """`train` and `held_out` rows: {"prompt": messages, "question", "answer", "answers": list, "columns"}.

    `answer` is the first of the right `answers`, and empty where there is none. `columns` holds the row as it was
    read, as JSON: so it reaches rewards through any library unchanged. `revision` is the commit on the Hub, None for
    rows from elsewhere.
    """

    train: list[Row]
    held_out: list[Row]
    train_counts: Counts
    held_out_counts: Counts
    revision: str | None


def load(settings: Settings, lengths: TokenCounter, *, needs_gold: bool = True) -> Rows:
    """Read, check and split the rows. `lengths` counts the tokens of prompts; without `needs_gold` rows need no answer.

    Raises `InvalidRun` if the source, a split or a column is missing, or too few rows are left.
    """
    source = RowSource("GRPO_DATASET", settings.dataset, settings.dataset_config, settings.dataset_revision).pinned()
    splits = source.open()
    raw = _split(splits, settings.dataset_split, "GRPO_DATASET_SPLIT", source, settings, needs_gold)
    held_raw = _held_out(splits, source, settings, needs_gold)
    if held_raw is None:
        raw, held_raw = _set_apart(raw, settings)
    train, train_counts = _Filter(settings, lengths, needs_gold).keep(raw)
    known = frozenset(normalised(row["question"]) for row in train)
    held_out, held_counts = _Filter(settings, lengths, needs_gold, known).keep(held_raw)
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

    def keep(self, raw: Iterable[Mapping[str, Any]]) -> tuple[list[Row], Counts]:
        rows, seen, read = [], set[str](), 0
        for item in raw:
            read += 1
            row = _row(item, read, self.settings)
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
        if not row["answer"] and self.needs_gold:
            return "unanswerable"
        if key in seen:
            return "duplicate"
        return "in_training" if key in self.forbidden else None

    def _short_enough(self, rows: list[Row]) -> list[Row]:
        lengths = self.lengths([row["prompt"] for row in rows])
        return [row for row, tokens in zip(rows, lengths, strict=True) if tokens <= self.settings.max_prompt_length]


def _row(item: Mapping[str, Any], number: int, settings: Settings) -> Row:
    """Row `number` of its split, counted from 1. Raises `InvalidRun` for a cell that means nothing."""
    asked = _cell(item, "prompt", number, settings, lambda value: row_values.asked(value, settings.system_prompt))
    golds = _cell(item, "answer", number, settings, row_values.golds)
    return {
        "prompt": row_values.with_example(asked.messages, example.given(settings.example)),
        "question": asked.question() if asked.messages else "",
        "answer": golds[0] if golds else "",
        "answers": golds,
        **({"solution": _solution(item, golds, settings)} if settings.warm_start_steps else {}),
        "columns": json.dumps(item, default=_as_json, ensure_ascii=False),
    }


def _cell(item: Mapping[str, Any], kind: str, number: int, settings: Settings, read: Callable[[Any], Any]) -> Any:
    column: str = getattr(settings, f"{kind}_column")
    try:
        return read(row_values.at(item, column))
    except Unreadable as error:
        allowed = {"prompt": "a text or a list of messages", "answer": "a text, a number, a boolean or a list of these"}
        raise InvalidRun(
            f"GRPO_{kind.upper()}_COLUMN: {column!r} was given; in row {number} it holds {error}; allowed: "
            f"{allowed[kind]}, also inside another column (`outer.inner`). The columns are {', '.join(item)}"
        ) from error


def _solution(item: Mapping[str, Any], golds: Sequence[str], settings: Settings) -> str:
    """What the warm start learns to say for this row; empty where it has no worked solution."""
    told = row_values.at(item, settings.solution_column or settings.answer_column)
    if not golds or not isinstance(told, str) or (settings.solution_column is None and "####" not in told):
        return ""
    work = row_values.solution(told)
    return tags.in_format(work, golds[0]) if work else ""


def _as_json(value: Any) -> Any:
    """A cell that JSON does not know: times as text, arrays as lists, anything else as null."""
    for method in ("isoformat", "tolist"):
        if convert := getattr(value, method, None):
            return convert()
    return None


def _held_out(splits: Splits, source: RowSource, settings: Settings, needs_gold: bool) -> Any | None:
    """The split to evaluate on, None where there is none."""
    if settings.eval_dataset:
        source = RowSource("GRPO_EVAL_DATASET", settings.eval_dataset, settings.eval_dataset_config).pinned()
        splits = source.open()
        name = settings.eval_split or (TEST if TEST in splits else TRAIN)
    else:
        name = settings.eval_split or TEST
        if settings.eval_split is None and TEST not in splits:
            return None
    return _split(splits, name, "GRPO_EVAL_SPLIT", source, settings, needs_gold)


def _split(splits: Splits, name: str, variable: str, source: RowSource, settings: Settings, needs_gold: bool) -> Any:
    """One split, with the columns that are needed."""
    if name not in splits:
        raise InvalidRun(f"{variable}: {name!r} was given; {source.name} has the splits {', '.join(splits)}")
    columns = splits[name].column_names
    needed = [("GRPO_PROMPT_COLUMN", settings.prompt_column)]
    if needs_gold:
        needed.append(("GRPO_ANSWER_COLUMN", settings.answer_column))
    faults = [
        f"{variable}: {column!r} was given; {source.name} has the columns {', '.join(columns)}"
        + (_hint(columns) if variable == "GRPO_ANSWER_COLUMN" else "")
        for variable, column in needed
        if column not in columns and column.partition(".")[0] not in columns
    ]
    if faults:
        raise InvalidRun(*faults)
    return splits[name]


def _hint(columns: Sequence[str]) -> str:
    talk = next((name for name in ("messages", "conversations") if name in columns), None)
    return f"; GRPO_ANSWER_COLUMN={talk} takes the last assistant turn" if talk else ""


def _set_apart(raw: Iterable[Mapping[str, Any]], settings: Settings) -> tuple[list[Any], list[Any]]:
    """Hold out the rows with the lowest question hashes: the same in every run, equal questions together."""
    rows = list(raw)
    questions = [_row(row, number, settings)["question"] for number, row in enumerate(rows, 1)]
    keys = [hashlib.sha256(normalised(question).encode()).hexdigest() for question in questions]
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
