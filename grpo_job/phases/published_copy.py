"""A published tree as a stranger gets it: downloaded, checked against its manifest, and its adapter set apart.

Nothing in the tree is taken for code, a path or an address; see `trust.py`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from grpo_job.inputs import lora
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import published_tree, trust
from grpo_job.reports import run_data
from grpo_job.reports.run_data import RunData
from grpo_job.run_folder.files import sha256, write_json
from grpo_job.run_folder.paths import WEIGHTS, require_plain
from grpo_job.settings import plain_files
from grpo_job.stores import MANIFEST, StoreFailed, open_store
from grpo_job.stores.trees import is_safe

TEXTS = (".json", ".jinja", ".txt", ".model")  # of a tokenizer, at the root beside the adapter
# What only trains, or names modules that PEFT would import.
NOT_LOADED = ("auto_mapping", "megatron_core")
SHAPE = {"r": "lora_rank", "lora_alpha": "lora_alpha", "target_modules": "lora_target_modules"}


class Copy(NamedTuple):
    """`tree`: every file; `adapter`: those that libraries load, alone; `run`: its records; `faults`: of the files."""

    place: str
    tree: Path
    adapter: Path
    run: RunData
    config: Mapping[str, Any]
    faults: list[str]

    @property
    def merged(self) -> Path:
        return self.tree / "merged"


def is_address(place: str) -> bool:
    return "://" in place


def fetch(place: str, folder: Path, environment: Mapping[str, str]) -> Copy:
    """The tree at an address or in a folder; of a run's folder, what would be published.

    Raises `InvalidRun` if there is none. What is wrong with its files is in `faults`: with one, nothing else is read.
    """
    if not is_address(place) and not Path(place).is_dir():
        raise InvalidRun(f"{place}: there is no such folder; allowed: a run's folder, a published tree, or its address")
    tree = folder / "tree"
    tree.mkdir()
    if not is_address(place) and not (Path(place) / MANIFEST).is_file():
        published_tree.gather(Path(place), tree)
    else:
        _download(place, tree, environment)
    faults, known = _digests(tree)
    copy = Copy(place, tree, folder / "adapter", run_data.read(tree), {}, faults)
    if faults:
        return copy
    try:
        config = _set_apart(tree, copy.adapter, known)
        return copy._replace(config=config, faults=[*_records(copy.run, tree, config)])
    except InvalidRun as refusal:
        return copy._replace(faults=[fault.replace(f"{tree}/", "") for fault in refusal.faults])
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        return copy._replace(faults=[f"its records hold what no run writes ({type(error).__name__}: {error})"])


def _download(place: str, tree: Path, environment: Mapping[str, str]) -> None:
    if not is_address(place):
        require_plain(Path(place))
    uri = place if is_address(place) else f"file://{quote(str(Path(place).resolve()))}"
    try:
        open_store(uri, environment=environment).get("", tree)
    except StoreFailed as failure:
        raise failure.as_refusal() from failure
    require_plain(tree)


def _digests(tree: Path) -> tuple[list[str], list[str]]:
    """A sentence for each file that is not as the manifest has it, and the names that the manifest has."""
    try:
        named = plain_files.read_object(tree / MANIFEST)["files"]
        expected = {str(name): (str(facts["sha256"]), facts["size"]) for name, facts in named.items()}
    except FileNotFoundError:
        return [f"there is no {MANIFEST}: publishing did not finish, or this is no published tree"], []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST} is not as the job writes it ({type(error).__name__}: {error})"], []
    faults = []
    for name, (digest, size) in expected.items():
        path = tree / name
        if not is_safe(name) or not path.is_file():
            faults.append(f"{name} is missing")
        elif path.stat().st_size != size:
            faults.append(f"{name} has {path.stat().st_size:,} bytes, not the {size:,} of the manifest")
        elif sha256(path) != digest:
            faults.append(f"{name} has another SHA-256 than in the manifest")
    if WEIGHTS not in expected:
        faults.append(f"{MANIFEST} does not name {WEIGHTS}")
    return faults, list(expected)


def _set_apart(tree: Path, adapter: Path, known: list[str]) -> dict[str, Any]:
    """Weights, configuration and tokenizer alone, so that a library finds nothing else. Returns the configuration."""
    adapter.mkdir()
    for name in known:
        if "/" not in name and (name == WEIGHTS or (name.endswith(TEXTS) and name != lora.CONFIG)):
            (adapter / name).symlink_to((tree / name).resolve())
    config = lora.config_in(tree)
    modules = config.get("target_modules")
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise InvalidRun(f"{lora.CONFIG}: target_modules is {str(modules)[:100]!r}; allowed: a list of names")
    loaded = {name: value for name, value in config.items() if not name.endswith("_config") and name not in NOT_LOADED}
    write_json(adapter / lora.CONFIG, {**loaded, "init_lora_weights": True})
    lora.read(adapter)
    return config


def _records(run: RunData, tree: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """What the run recorded of its adapter and the tree does not hold."""
    told, saved = run.settings, run.summary.get("adapter") or {}
    if saved.get("sha256") != sha256(tree / WEIGHTS):
        yield f"{WEIGHTS} is not the adapter of this run: its summary has another SHA-256"
    for name, setting in SHAPE.items():
        ours, theirs = config.get(name), told.get(setting)
        same = set(ours or ()) == set(theirs or ()) if name == "target_modules" else ours == theirs
        if not same:
            yield f"{lora.CONFIG}: {name} is {_shown(ours)}, but the run trained with {_shown(theirs)}"
    model = run.environment.get("model") or {}
    for name, fact in (("base_model_name_or_path", "name"), ("revision", "commit")):
        if config.get(name) != model.get(fact):
            yield f"{lora.CONFIG}: {name} is {_shown(config.get(name))}, but the run trained {_shown(model.get(fact))}"


def _shown(value: Any) -> str:
    return json.dumps(sorted(value) if isinstance(value, list) else value)[:200]


def base_name(copy: Copy, own: str | None) -> tuple[str, str | None]:
    """Name and revision of the base: `own`, the caller's, or the tree's. Raises `InvalidRun` if that is no Hub id."""
    name, revision = copy.config.get("base_model_name_or_path"), copy.config.get("revision")
    if own:
        return own, revision if own == name else None
    trust.refuse_code_and_paths({"model": name or "", "model_revision": revision}, Path(lora.CONFIG))
    return str(name), revision
