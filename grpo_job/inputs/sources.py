"""Sources of rows: `sample`, a file, a folder, an S3 prefix, a Hub dataset. The `datasets` library reads them."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun
from grpo_job.stores import StoreFailed, open_store

Splits = Mapping[str, Any]  # name of a split -> datasets.Dataset

TRAIN, TEST = "train", "test"
FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
# An empty cell stays empty text; otherwise it turns a column of integers into floats such as 72.0.
CSV_OPTIONS = {"na_filter": False}
HUB_SECONDS = 20
LONGEST_REASON = 400

HUB_REASONS = {
    "RepositoryNotFoundError": "the Hub has no such dataset, or HF_TOKEN has no access to it: check both",
    "GatedRepoError": "the dataset is gated: accept its terms on its page with the account of HF_TOKEN",
    "RevisionNotFoundError": "the dataset has no such GRPO_DATASET_REVISION",
    "HFValidationError": "it is neither a file nor a folder nor a Hub id such as owner/name",
}


@dataclass(frozen=True)
class RowSource:
    """One source. `variable` is the setting it comes from; `commit` is known once it is `pinned`."""

    variable: str
    name: str
    config: str | None = None
    revision: str | None = None
    commit: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.name).expanduser()

    @property
    def is_local(self) -> bool:
        """Whether no network is needed: the sample, or an existing file or folder."""
        return self.name == "sample" or self.path.exists()

    def pinned(self) -> "RowSource":
        """The source at the Hub's current commit, or downloaded from S3; unchanged if local or offline."""
        if self.name.startswith("s3://"):
            return replace(self, name=self._fetched())
        self._require_place()
        if self.is_local:
            return self
        from huggingface_hub import HfApi, constants

        if constants.HF_HUB_OFFLINE:
            return self
        try:
            found = HfApi().dataset_info(self.name, revision=self.revision, timeout=HUB_SECONDS).sha
        except Exception as error:  # whatever the client raises, there are no rows
            kind = type(error).__name__
            unreachable = f"the Hub could not be reached ({kind}): check the network, HF_ENDPOINT and HF_TOKEN"
            raise self._refused(HUB_REASONS.get(kind, unreachable)) from error
        return replace(self, revision=found, commit=found)

    def _fetched(self) -> str:
        """Download the object, or all objects below the prefix, to a temporary folder."""
        folder = Path(tempfile.mkdtemp(prefix="grpo-job-rows-"))
        try:
            open_store(self.name).get("", folder)
        except StoreFailed as error:
            raise self._refused(str(error)) from error
        return str(folder)

    def open(self) -> Splits:
        import datasets

        datasets.disable_progress_bars()
        try:
            splits: Splits = self._load(datasets)
        except Exception as error:  # third-party data: any error of the library is the reason
            raise self._refused(f"it cannot be read: {_reason(error)}") from error
        return splits

    def _load(self, datasets: Any) -> Any:
        if self.name == "sample":
            return datasets.load_dataset("json", data_files={TRAIN: str(sample.TRAIN), TEST: str(sample.HELD_OUT)})
        if self.path.is_file():
            kind = FORMATS[self.path.suffix]
            return datasets.load_dataset(kind, data_files=str(self.path), **_options({kind}))
        if self.path.is_dir():
            kinds = {FORMATS[file.suffix] for file in self.path.rglob("*") if file.suffix in FORMATS}
            return datasets.load_dataset(str(self.path.resolve()), **_options(kinds))
        return datasets.load_dataset(self.name, self.config, revision=self.revision)

    def _require_place(self) -> None:
        """Raises `InvalidRun` for what cannot be rows, with a clearer message than the library's."""
        if self.name == "sample":
            return
        if self.is_local:
            files = self.path.rglob("*") if self.path.is_dir() else [self.path]
            if not any(file.suffix in FORMATS for file in files):
                raise self._refused(f"allowed: a file, or a folder with files, of {', '.join(FORMATS)}")
        elif "://" in self.name:
            raise self._refused(
                "rows cannot be read from this URI; allowed: a Hub id, s3://, a file, a folder or `sample`"
            )
        elif self.name.startswith(("/", ".", "~")) or self.path.suffix in FORMATS:
            raise self._refused("there is no such file or folder")

    def _refused(self, why: str) -> InvalidRun:
        return InvalidRun(f"{self.variable}: {self.name!r} was given; {why}")


def _options(kinds: set[str]) -> dict[str, Any]:
    return CSV_OPTIONS if kinds == {"csv"} else {}


def _reason(error: BaseException) -> str:
    """The root cause on one line: the library wraps it in generic errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    reason = " ".join(str(error).split()) or f"it has no rows ({type(error).__name__})"
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
