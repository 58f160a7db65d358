"""The base model as a folder: embedded sample, local folder, or a Hub snapshot at a commit.

The job downloads by itself and hands engines a folder; reports and the adapter's config name
the model as the user did. Only safetensors are taken, and no code from the repository is run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job import sample
from grpo_job.failures import Refused

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
WEIGHTS = ("*.safetensors",)


class BaseModel(NamedTuple):
    """`name` as the user gave it, `folder` with its files, `commit` on the Hub, `licence` as its card says it."""

    name: str
    folder: Path
    commit: str | None
    licence: Mapping[str, str]

    def config(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "config.json").read_text())
        return loaded


def fetch(name: str, revision: str | None, *, weights: bool = True) -> BaseModel:
    """Make `name` a folder. `weights=False` fetches only what the checks need.

    Raises `Refused` where it does not exist, may not be read, or holds no safetensors.
    """
    if name == "sample":
        return BaseModel("sample", sample.MODEL, None, {"license": "apache-2.0"})
    local = Path(name).expanduser()
    if local.is_dir():
        _require_files(local, name)
        return BaseModel(name, local.resolve(), None, {})
    if name.startswith(("/", ".", "~")):
        raise Refused(f"GRPO_MODEL: {name!r} was given; there is no such folder")
    return _from_hub(name, revision, weights)


def _require_files(folder: Path, name: str) -> None:
    for needed in ("config.json", "tokenizer.json", "*.safetensors"):
        if not any(folder.glob(needed)):
            raise Refused(f"GRPO_MODEL: {name!r} was given; the folder holds no {needed}")


def _from_hub(name: str, revision: str | None, weights: bool) -> BaseModel:
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    patterns = WANTED if weights else [pattern for pattern in WANTED if pattern not in WEIGHTS]
    try:
        info = HfApi().model_info(name, revision=revision, timeout=20)
        folder = Path(snapshot_download(name, revision=info.sha, allow_patterns=patterns))
        return BaseModel(name, folder, info.sha, _licence_of(info.card_data))
    except OfflineModeIsEnabled:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=True))
        return BaseModel(name, folder, folder.name, {})  # a snapshot's folder is named after its commit
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise Refused(f"GRPO_MODEL: {name!r} was given; {_why(error)}") from error


def _licence_of(card: Any) -> dict[str, str]:
    """What the model's own card says of its licence."""
    said = card.to_dict() if card else {}
    return {key: str(said[key]) for key in ("license", "license_name", "license_link") if said.get(key)}


def _why(error: Exception) -> str:
    """One sentence with the cure, from what the Hub answered."""
    kind = type(error).__name__
    known = {
        "RepositoryNotFoundError": "the Hub has no such model, or HF_TOKEN may not see it: check both",
        "GatedRepoError": "the model is gated: accept its licence on its page with the account of HF_TOKEN",
        "RevisionNotFoundError": "the model has no such GRPO_MODEL_REVISION",
        "HFValidationError": "that is neither a folder nor a Hub id such as owner/name",
    }
    return known.get(kind, f"the Hub could not be reached ({kind}): check the network, HF_ENDPOINT and HF_TOKEN")
