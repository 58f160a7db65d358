"""Hub, local or embedded rows -> rows with `prompt` and `answer`, and a count of all left out.

The `datasets` library reads them. No row disappears without a number, and a held-out row never
occurs in training. `s3://` rows are fetched to a folder by the caller.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job import sample
from grpo_job.failures import Refused
from grpo_job.settings import Settings

Row = dict[str, Any]
FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
HELD_OUT_SHARE = 0.1  # of all rows at most, where there is no split to evaluate on


@dataclass(frozen=True)
class Counts:
    """What happened to the rows of one split, by reason."""

    read: int = 0
    kept: int = 0
    empty: int = 0
    unanswerable: int = 0
    duplicate: int = 0
    too_long: int = 0
    in_training: int = 0

    def sentence(self) -> str:
        reasons = {name: number for name, number in vars(self).items() if name not in ("read", "kept") and number}
        left_out = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in reasons.items())
        return f"{self.kept} of {self.read} rows" + (f" (left out: {left_out})" if left_out else "")


class Rows(NamedTuple):
    """`train` and `held_out` rows: {"prompt": messages, "question": str, "answer": str}."""

    train: list[Row]
    held_out: list[Row]
    train_counts: Counts
    held_out_counts: Counts
    revision: str | None


@dataclass
class _Filter:
    """Keeps good rows of one split and counts the others."""

    settings: Settings
    lengths: Callable[[Sequence[list[dict[str, str]]]], list[int]]
    forbidden: frozenset[str] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)

    def keep(self, raw: Iterable[dict[str, Any]]) -> tuple[list[Row], Counts]:
        rows, seen, read = [], set(), 0
        for item in raw:
            read += 1
            row = _row(item, self.settings)
            key = normalised(row["question"])
            reason = _fault_of(row) or (
                "duplicate" if key in seen else "in_training" if key in self.forbidden else None
            )
            if reason:
                self.counts[reason] = self.counts.get(reason, 0) + 1
            else:
                seen.add(key)
                rows.append(row)
        short = self._short_enough(rows)
        self.counts["too_long"] = len(rows) - len(short)
        return short, Counts(read=read, kept=len(short), **self.counts)

    def _short_enough(self, rows: list[Row]) -> list[Row]:
        lengths = self.lengths([row["prompt"] for row in rows])
        return [row for row, tokens in zip(rows, lengths, strict=True) if tokens <= self.settings.max_prompt_length]


def load(settings: Settings, lengths: Callable[[Sequence[list[dict[str, str]]]], list[int]]) -> Rows:
    """Read, check and split the rows. `lengths` counts the tokens of prompts.

    Raises `Refused` where the source, a split or a column is not there, or too few rows are left.
    """
    raw = _read(settings.dataset, settings, settings.dataset_split, "GRPO_DATASET")
    held_raw = _held_out_source(settings)
    if held_raw is None:
        raw, held_raw = _split(raw, settings)
    train, train_counts = _Filter(settings, lengths).keep(raw)
    known = frozenset(normalised(row["question"]) for row in train)
    held_out, held_counts = _Filter(settings, lengths, known).keep(held_raw)
    needed = settings.per_device_train_batch_size * settings.generation_micro_steps // settings.num_generations
    if len(train) < max(1, needed):
        raise Refused(
            f"GRPO_DATASET: {settings.dataset!r} gives {train_counts.sentence()}; one generation takes {needed} "
            "different prompts: allowed are more rows, or a smaller GRPO_PER_DEVICE_TRAIN_BATCH_SIZE"
        )
    if not held_out:
        raise Refused(
            f"GRPO_EVAL_DATASET: no held-out row is left, {held_counts.sentence()}; allowed: rows with "
            f"{settings.prompt_column!r} and {settings.answer_column!r} that do not occur in training"
        )
    return Rows(train, held_out[: settings.eval_rows], train_counts, held_counts, None)


def normalised(question: str) -> str:
    """A question without what does not make it another one: case, spacing, punctuation, Unicode form."""
    text = unicodedata.normalize("NFKC", question).casefold()
    return " ".join(re.sub(r"[^\w\s.+\-*/%$]", " ", text).split())


def gold(answer: Any) -> str:
    """The answer itself: of GSM8K's `work #### 72` the part after the last mark."""
    return str("" if answer is None else answer).rsplit("####", 1)[-1].strip()


def _row(item: dict[str, Any], settings: Settings) -> Row:
    question = item[settings.prompt_column]
    question = "" if question is None else str(question).strip()
    system = [{"role": "system", "content": settings.system_prompt}] if settings.system_prompt else []
    return {
        "prompt": [*system, {"role": "user", "content": question}],
        "question": question,
        "answer": gold(item[settings.answer_column]),
    }


def _fault_of(row: Row) -> str | None:
    if not row["question"]:
        return "empty"
    return None if row["answer"] else "unanswerable"


def _held_out_source(settings: Settings) -> Any | None:
    if settings.eval_dataset:
        return _read(settings.eval_dataset, settings, settings.eval_split, "GRPO_EVAL_DATASET")
    if settings.eval_split:
        return _read(settings.dataset, settings, settings.eval_split, "GRPO_EVAL_SPLIT")
    return None


def _split(raw: Iterable[dict[str, Any]], settings: Settings) -> tuple[list[Row], list[Row]]:
    """Hold out the rows whose question hashes lowest: the same ones in every run, equal questions together."""
    rows = list(raw)
    keys = [hashlib.sha256(normalised(str(row[settings.prompt_column])).encode()).hexdigest() for row in rows]
    share = min(settings.eval_rows, max(1, int(len(rows) * HELD_OUT_SHARE)))
    border = sorted(set(keys))[:share][-1] if rows else ""
    held = [row for row, key in zip(rows, keys, strict=True) if key <= border]
    return [row for row, key in zip(rows, keys, strict=True) if key > border], held


def _read(source: str, settings: Settings, split: str | None, variable: str) -> Any:
    """One split of one source as a `datasets.Dataset`, columns checked."""
    import datasets

    datasets.disable_progress_bars()
    try:
        rows = _open(datasets, source, settings, split or "train")
    except (ValueError, FileNotFoundError, ConnectionError, OSError, datasets.exceptions.DatasetsError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refused(f"{variable}: {source!r} (split {split!r}) was given; it cannot be read: {first_line}") from error
    for column in (settings.prompt_column, settings.answer_column):
        if column not in rows.column_names:
            name = "GRPO_PROMPT_COLUMN" if column == settings.prompt_column else "GRPO_ANSWER_COLUMN"
            raise Refused(f"{name}: {column!r} was given; {source} has the columns {', '.join(rows.column_names)}")
    return rows


def _open(datasets: Any, source: str, settings: Settings, split: str) -> Any:
    if source == "sample":
        embedded = sample.TRAIN if split == "train" else sample.HELD_OUT
        return datasets.load_dataset("json", data_files=str(embedded), split="train")
    path = Path(source).expanduser()
    if path.exists() or source.startswith(("/", ".", "~")):
        files = _local_files(path, split)
        return datasets.load_dataset(FORMATS[files[0].suffix], data_files=[str(file) for file in files], split="train")
    return datasets.load_dataset(source, settings.dataset_config, split=split, revision=settings.dataset_revision)


def _local_files(path: Path, split: str) -> list[Path]:
    """The file; in a folder, the files named after the split, else all of them."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in FORMATS)
    chosen = [file for file in files if path.is_dir() and split in file.stem] or files
    if len({FORMATS.get(file.suffix) for file in chosen} - {None}) != 1:
        raise FileNotFoundError(f"no rows there; allowed: a file or folder of {', '.join(FORMATS)}, all of one kind")
    return chosen
