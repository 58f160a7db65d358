"""GRPO_ADAPTER: the LoRA that training starts from, in a folder or fetched from a store."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from grpo_job.inputs import lora, sources
from grpo_job.inputs.lora import CONFIG, Lora
from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder import scratch
from grpo_job.run_folder.files import sha256
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.stores import StoreFailed, open_store

PICKLE = "adapter_model.bin"


class StartAdapter(NamedTuple):
    """`name` as given, the adapter on disk, and the SHA-256 of its weights."""

    name: str
    lora: Lora
    sha256: str


def is_remote(name: str) -> bool:
    """Whether reading it needs the network."""
    return "://" in name and not name.startswith("file://")


def fetch(name: str, environment: Mapping[str, str]) -> StartAdapter:
    """The adapter at an address or in a folder.

    Raises `InvalidRun` if it is not there or not one that is used, `Outage` if its store cannot be reached now.
    """
    try:
        folder = _fetched(name, environment) if "://" in name else _local(name)
        found = lora.read(folder)
        return StartAdapter(name, found, sha256(found.weights))
    except StoreFailed as failure:
        raise failure.as_refusal(_given(name)) from failure
    except InvalidRun as refusal:
        raise InvalidRun(*(_refused(name, fault).faults[0] for fault in refusal.faults)) from refusal


def _local(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir():
        raise InvalidRun(
            "there is no such folder; allowed: a folder, hf://owner/name, s3://bucket/prefix, file:///path"
        )
    places = path, path / "adapter"
    if any((place / WEIGHTS).is_file() for place in places):
        return lora.folder_in(path)
    raise _without_weights([file.name for place in places if place.is_dir() for file in place.iterdir()])


def _fetched(name: str, environment: Mapping[str, str]) -> Path:
    """Configuration and weights in a temporary folder; of a published tree or a run nothing else is downloaded."""
    store = open_store(name, environment=environment, patience=sources.FETCH)
    folder = scratch.folder("adapter")
    there = {entry.name for entry in store.list()}
    below = next((place for place in ("", "adapter/") if f"{place}{WEIGHTS}" in there), None)
    if below is None:
        raise _without_weights([file.rpartition("/")[2] for file in there])
    if f"{below}{CONFIG}" not in there:
        raise InvalidRun(f"there is no {CONFIG} beside {WEIGHTS}; allowed: an adapter as PEFT saves it")
    for file in (CONFIG, WEIGHTS):
        store.get(f"{below}{file}", folder)
    return folder


def _without_weights(files: list[str]) -> InvalidRun:
    why = f"there is no {WEIGHTS}"
    if PICKLE in files:
        return InvalidRun(f"{why}, and {PICKLE} can run code when it is loaded: save it as safetensors")
    return InvalidRun(f"{why}; allowed: an adapter's folder, a run folder, or a published tree")


def _refused(name: str, why: str) -> InvalidRun:
    why = re.sub(rf"\S*/grpo-job-adapter-\w+{re.escape(scratch.SUFFIX)}/?", "", why)  # a temporary folder tells nothing
    return InvalidRun(f"{_given(name)}{why}")


def _given(name: str) -> str:
    return f"GRPO_ADAPTER: {name!r} was given; "
