"""Sources of rows: `sample`, a file, a folder, an S3 prefix, a Hub dataset.

Files are read by `files.py`, a folder's splits are found by `folders.py`; the `datasets` library reads the Hub's
datasets and what its `save_to_disk` wrote.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from grpo_job.inputs import files, folders, sample
from grpo_job.inputs.binary import with_digits
from grpo_job.inputs.class_labels import NO_FEATURES, Features, named
from grpo_job.inputs.content import Damaged, Item
from grpo_job.inputs.files import Table
from grpo_job.outcomes import InvalidRun, Unasked
from grpo_job.run_folder import scratch
from grpo_job.stores import Patience, StoreFailed, open_store

TRAIN, TEST = "train", "test"
SAVED_TO_DISK = (("dataset_dict.json",), ("dataset_info.json", "state.json"))  # a DatasetDict, a Dataset
HUB_SECONDS = 20
FETCH = Patience(seconds=60, call=30)  # a store that is down holds the start of a run no longer
LONGEST_REASON = 400
CONFIG_ERROR = re.compile("Config name is missing|BuilderConfig .* not found")  # of `datasets`, with those that exist
NOT_CACHED = "HF_HUB_OFFLINE is set, but the rows are not in the cache in HF_HOME: unset it, or download them first"

HUB_REASONS = {
    "RepositoryNotFoundError": "the Hub has no such dataset, or HF_TOKEN has no access to it: check both",
    "GatedRepoError": "the dataset is gated: accept its terms on its page with the account of HF_TOKEN",
    "RevisionNotFoundError": "the dataset has no such GRPO_DATASET_REVISION",
    "HFValidationError": "it is neither a file nor a folder nor a Hub id such as owner/name",
}


@dataclass(frozen=True)
class Split:
    """Rows of one split: its columns, and its parts as (file, rows). The file is empty where there is only one."""

    column_names: list[str]
    parts: list[tuple[str, Iterable[Item]]]

    def numbered(self) -> Iterator[tuple[str, Item]]:
        """Each row with its place, such as `row 3 of b.jsonl`, counted from 1. Each has all columns."""
        empty = dict.fromkeys(self.column_names)
        for file, rows in self.parts:
            for number, row in enumerate(rows, 1):
                yield f"row {number} of {file}" if file else f"row {number}", {**empty, **row}


Splits = Mapping[str, Callable[[], Split]]  # read when it is asked for


def held_out_by_name(splits: Iterable[str], training: str) -> str:
    """The first split that is named as if to evaluate on; empty if there is none.

    >>> held_out_by_name(["train", "validation"], "train"), held_out_by_name(["train", "extra"], "train")
    ('validation', '')
    """
    names = (name for name in splits if name != training)
    return next((name for name in names if re.match("val|dev|eval|test", name, re.IGNORECASE)), "")


@dataclass(frozen=True)
class RowSource:
    """One source. `variable` is the setting it comes from; `commit` is known once it is `pinned`."""

    variable: str
    name: str
    config: str | None = None
    revision: str | None = None
    prompt_column: str = "question"
    commit: str | None = None
    fetched: Path | None = None

    @property
    def path(self) -> Path:
        return self.fetched or Path(self.name).expanduser()

    @property
    def is_local(self) -> bool:
        """Whether no network is needed: the sample, or an existing file or folder."""
        return self.name == "sample" or self.path.exists()

    def pinned(self) -> "RowSource":
        """The source at the Hub's current commit, or downloaded from S3; unchanged if local or offline."""
        if self.name.startswith("s3://"):
            self._refuse_hub_settings()
            return replace(self, fetched=self._fetched())
        self._require_place()
        if self.is_local:
            self._refuse_hub_settings()
            return self
        if _is_kept_offline():
            return self
        from huggingface_hub import HfApi

        try:
            found = HfApi().dataset_info(self.name, revision=self.revision, timeout=HUB_SECONDS).sha
        except Exception as error:  # whatever the client raises, there are no rows
            kind = type(error).__name__
            unreachable = f"the Hub could not be reached ({kind}): check the network, HF_ENDPOINT and HF_TOKEN"
            raise self._failed_at_hub(error, HUB_REASONS.get(kind, unreachable)) from error
        return replace(self, revision=found, commit=found)

    def open(self) -> Splits:
        """The splits by name. Raises `InvalidRun`, here or when one is read, with what cannot be read and the cure."""
        if self.name == "sample":
            return {TRAIN: partial(self._read, [sample.TRAIN]), TEST: partial(self._read, [sample.HELD_OUT])}
        if self.path.is_file():
            return {TRAIN: partial(self._read, [self.path])}
        try:
            if not self.path.is_dir():
                return _of_hub(self.name, self.config, self.revision)
            if any(all((self.path / name).is_file() for name in names) for names in SAVED_TO_DISK):
                return _saved_to_disk(self.path, self.config)
            found = folders.splits_of(self.path, self.config)
            features = folders.features_of(self.path, self.config)
        except folders.UnknownConfig as error:
            raise InvalidRun(f"{self.variable}_CONFIG: {self.config!r} was given for {self.name}; {error}") from error
        except Exception as error:  # third-party data: any error of the library is the reason
            if CONFIG_ERROR.search(reason := _reason(error)):
                raise InvalidRun(f"{self.variable}_CONFIG: {self.config!r} was given; {self.name}: {reason}") from error
            if _is_kept_offline() and not self.path.is_dir():
                raise Unasked(f"{self._given()}{NOT_CACHED} ({reason})") from error
            raise self._failed_at_hub(error, f"it cannot be read: {reason}") from error
        return {split: partial(self._read, paths, features) for split, paths in found.items()}

    def _read(self, paths: list[Path], features: Features = NO_FEATURES) -> Split:
        tables = [(self._shown(path), self._table(path)) for path in paths]
        columns = dict.fromkeys(column for _, table in tables for column in table.columns)
        parts: list[tuple[str, Iterable[Item]]] = [
            (name if len(tables) > 1 else "", named(table.rows, features)) for name, table in tables
        ]
        return Split(list(columns), parts)

    def _table(self, path: Path) -> Table:
        try:
            return files.read(path, self.prompt_column.partition(".")[0])
        except (Damaged, OSError) as error:
            place = f"{self._shown(path)}: " if self.path.is_dir() else ""
            raise self._refused(f"it cannot be read: {place}{error}") from error

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else path.name

    def _fetched(self) -> Path:
        """Download the object, or all objects below the prefix, to a temporary folder."""
        folder = scratch.folder("rows")
        try:
            open_store(self.name, patience=FETCH).get("", folder)
        except StoreFailed as error:
            raise error.as_refusal(self._given()) from error
        return folder

    def _require_place(self) -> None:
        """Raises `InvalidRun` for what cannot be rows, with a clearer message than the library's."""
        if self.path.is_file() and not files.is_rows(self.path):
            raise self._refused(f"allowed: a file, or a folder with files, of {files.allowed()}")
        if self.path.exists() and not (self.path.is_file() or self.path.is_dir()):
            raise self._refused("it is a device or a pipe; allowed: a file or a folder")
        if self.is_local:
            return
        if "://" in self.name:
            raise self._refused(
                "rows cannot be read from this URI; allowed: a Hub id, s3://, a file, a folder or `sample`"
            )
        if self.name.startswith(("/", ".", "~")) or files.is_rows(self.path):
            raise self._refused("there is no such file or folder")

    def _refuse_hub_settings(self) -> None:
        """A revision, or a configuration of what has none, would be ignored without a word."""
        has_configs = self.path.is_dir() or self.name.startswith("s3://")
        given = {"REVISION": self.revision, "CONFIG": None if has_configs else self.config}
        takes = {"REVISION": "a dataset on the Hub has one", "CONFIG": "a folder or a dataset on the Hub has one"}
        faults = [
            f"{self.variable}_{name}: {value!r} was given; only {takes[name]}, {self.name!r} has none: unset it"
            for name, value in given.items()
            if value
        ]
        if faults:
            raise InvalidRun(*faults)

    def _refused(self, why: str) -> InvalidRun:
        return InvalidRun(self._given() + why)

    def _failed_at_hub(self, error: Exception, why: str) -> InvalidRun:
        from grpo_job.stores import hub_errors

        return hub_errors.refusal(error, self._given() + why)

    def _given(self) -> str:
        return f"{self.variable}: {self.name!r} was given; "


def _is_kept_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _of_hub(name: str, config: str | None, revision: str | None) -> Splits:
    import datasets

    datasets.disable_progress_bars()
    return _of_datasets(datasets.load_dataset(name, config, revision=revision))


def _saved_to_disk(folder: Path, config: str | None) -> Splits:
    import datasets

    if config:
        raise folders.UnknownConfig("what `save_to_disk` wrote has no configurations; unset it")
    loaded = datasets.load_from_disk(str(folder))
    found = loaded if isinstance(loaded, Mapping) else {TRAIN: loaded}
    folders.require_within((Path(file["filename"]) for each in found.values() for file in each.cache_files), folder)
    return _of_datasets(found)


def _of_datasets(found: Mapping[str, Any]) -> Splits:
    def read(rows: Any) -> Split:
        listed = with_digits(rows.to_list(), rows.data.schema)  # as they are stored: no image or sound is decoded
        return Split(rows.column_names, [("", named(listed, rows.features.to_dict()))])

    return {str(split): partial(read, rows) for split, rows in found.items()}


def _reason(error: BaseException) -> str:
    """The root cause on one line: the library wraps it in generic errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    reason = " ".join(str(error).split()) or f"it has no rows ({type(error).__name__})"
    reason = f"{reason} is missing" if isinstance(error, KeyError) else reason
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
