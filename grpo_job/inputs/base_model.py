"""The base model as a folder: embedded sample, local folder, or a Hub snapshot at a commit.

Only safetensors are used, and no code from the repository is run.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun, Outage, Unasked
from grpo_job.settings import plain_files
from grpo_job.stores import client_errors

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
LARGEST_HASHED = 64 << 20  # bytes; of larger files the client compares the size, because a hash takes seconds
WEIGHTS = ("*.safetensors",)
PICKLES = ", and weights in other formats can run code: convert them, or use another model"


class BaseModel(NamedTuple):
    """`name` as given, `folder` with its files, `commit` on the Hub, `licence` from its card.

    `files` are those on the Hub with their sizes; `gated` models need the owner's permission.
    """

    name: str
    folder: Path
    commit: str | None
    licence: Mapping[str, str]
    files: Mapping[str, int] = MappingProxyType({})
    gated: bool = False

    def config(self) -> dict[str, Any]:
        """Raises `OSError` and `ValueError`, also for one that is too long or nested too deeply."""
        return plain_files.read_object(self.folder / "config.json")


def fetch(name: str, revision: str | None, *, weights: bool = True) -> BaseModel:
    """The model as a local folder. `weights=False` fetches only what the checks need.

    Raises `InvalidRun` if it does not exist, is not readable, or has no safetensors; `Outage` if the Hub fails.
    """
    if name == "sample":
        return BaseModel("sample", sample.MODEL, None, {"license": "apache-2.0"})
    local = Path(name).expanduser()
    if local.is_dir():
        _require([file.name for file in local.iterdir()], name, "the folder")
        try:
            # Texts of a model are published with the adapter; weights are only read as weights.
            plain_files.require_within(local, links=(".safetensors",))
        except plain_files.NotPlain as fault:
            raise InvalidRun(f"GRPO_MODEL: {name!r} was given; {fault}") from fault
        return BaseModel(name, local.resolve(), None, {})
    if name.startswith(("/", ".", "~")):
        raise InvalidRun(f"GRPO_MODEL: {name!r} was given; there is no such folder")
    return _from_hub(name, revision, weights)


def _require(files: Iterable[str], name: str, place: str) -> None:
    """Raises `InvalidRun` if a needed file is missing. Pickled weights do not count: they can run code."""
    cures = {"config.json": "", "tokenizer.json": ": save its fast tokenizer there", "*.safetensors": PICKLES}
    for needed, cure in cures.items():
        if not any(fnmatch(file, needed) for file in files):
            raise InvalidRun(f"GRPO_MODEL: {name!r} was given; {place} has no {needed}{cure}")


def _from_hub(name: str, revision: str | None, weights: bool) -> BaseModel:
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    from grpo_job.stores import hub_errors

    patterns = WANTED if weights else [pattern for pattern in WANTED if pattern not in WEIGHTS]
    try:
        info = HfApi().model_info(name, revision=revision, timeout=20, files_metadata=True)
        files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        _require(files, name, "the repository")
        folder = Path(snapshot_download(name, revision=info.sha, allow_patterns=patterns))
        _require_undamaged(folder, info.siblings or (), name)
        return BaseModel(name, folder, info.sha, _licence_of(info.card_data), files, bool(info.gated))
    except OfflineModeIsEnabled:
        return _from_cache(name, revision, patterns)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise hub_errors.refusal(error, f"GRPO_MODEL: {name!r} was given; {_why(error)}") from error


def _require_undamaged(folder: Path, siblings: Iterable[Any], name: str) -> None:
    """Raises `Outage` if a file is not that on the Hub, and removes it: the cache would keep it for every attempt."""
    from grpo_job.stores.hub_client import differs

    for there in siblings:
        path = folder / there.rfilename
        if path.is_file() and path.stat().st_size <= LARGEST_HASHED and there.blob_id and differs(path, there):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise Outage(f"GRPO_MODEL: {name!r} was given; {there.rfilename} arrived damaged: try again")


def _from_cache(name: str, revision: str | None, patterns: list[str]) -> BaseModel:
    """The cached model, if HF_HUB_OFFLINE forbids requests to the Hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise Unasked(
            f"GRPO_MODEL: {name!r} was given; HF_HUB_OFFLINE is set, but the model is not in the cache in HF_HOME: "
            "unset it, or download the model first"
        ) from error
    return BaseModel(name, folder, folder.name, {})  # a snapshot's folder is named after its commit


def _licence_of(card: Any) -> dict[str, str]:
    entries = card.to_dict() if card else {}
    return {key: str(entries[key]) for key in ("license", "license_name", "license_link") if entries.get(key)}


def _why(error: Exception) -> str:
    """One sentence with the fix, from the error of the Hub client."""
    kind = type(error).__name__
    known = {
        "RepositoryNotFoundError": "the Hub has no such model, or HF_TOKEN has no access to it: check both",
        "GatedRepoError": "the model is gated: accept its licence on its page with the account of HF_TOKEN",
        "RevisionNotFoundError": "the model has no such GRPO_MODEL_REVISION",
        "HFValidationError": "it is neither a folder nor a Hub id such as owner/name",
    }
    if kind in known:
        return known[kind]
    if isinstance(error, OSError) and error.filename is not None:  # a file of the cache
        return client_errors.told(error)
    return f"the Hub could not be reached ({kind}): check the network, HF_ENDPOINT and HF_TOKEN"
