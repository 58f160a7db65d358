"""Which files of a folder are its rows: one list for each split, chosen as the `datasets` library does.

By the README's `configs` where it has them, else by `train`, `test` and the like in the names of folders and files.
No file outside the folder is ever read, whatever a README or a symbolic link names.
"""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from grpo_job.inputs.class_labels import Features
from grpo_job.inputs.content import Damaged
from grpo_job.inputs.files import allowed, is_rows

SplitFiles = dict[str, list[Path]]

KEYWORDS = {
    "train": "train|training",
    "validation": "validation|valid|dev|val",
    "test": "test|testing|eval|evaluation",
}
SEPARATOR = "[-._ 0-9]"
SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}.*\..+")
REPEATED, MOST_STARS = re.compile(r"(?:\*\*/)+"), 2  # each ** is a walk through all folders in each that is found
LONGEST_README = 2**20  # bytes; its YAML is read at a megabyte in half a minute
MOST_FILES = 50_000  # a folder with more is not one of rows, but a disk
# Written beside rows by `datasets`, by trainers and by package managers.
NO_ROWS = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "package.json"}


class UnknownConfig(ValueError):
    """The configuration that was asked for is not there, or must be named; the text says which there are."""


def splits_of(folder: Path, config: str | None) -> SplitFiles:
    """The files of each split of one configuration.

    Raises `Damaged` for a folder without rows or with files elsewhere, `UnknownConfig`, and `ValueError` for a README
    that `datasets` refuses.
    """
    configs = _configs(folder)
    chosen = configs.get(_chosen(configs, config), {})
    inner = folder / _inside(str(chosen.get("data_dir") or "."))
    if not (patterns := chosen.get("data_files")):
        return inferred(_row_files(inner, folder), inner)
    from datasets.data_files import sanitize_patterns

    return {
        split: list(dict.fromkeys(file for path in paths for file in _matching(inner, folder, str(path))))
        for split, paths in sanitize_patterns(patterns).items()
    }


def features_of(folder: Path, config: str | None) -> Features:
    """What the README says of the columns of one configuration, if some hold classes; else empty."""
    if not (card := _card(folder, "class_label:")):
        return {}
    from datasets.info import DatasetInfosDict

    infos = DatasetInfosDict.from_dataset_card_data(card)
    chosen = _chosen(_configs(folder), config) or next(iter(infos), "")
    info = infos.get(chosen)
    return info.features.to_dict() if info and info.features else {}


def inferred(files: list[Path], folder: Path) -> SplitFiles:
    """By names: `data/NAME-00000-of-00002.parquet`, else a folder `test/`, else a file `my_test.jsonl`; else all train.

    >>> inferred([Path("rows/a_train.csv"), Path("rows/a_test.csv")], Path("rows"))
    {'train': [PosixPath('rows/a_train.csv')], 'test': [PosixPath('rows/a_test.csv')]}
    """
    for rule in (_by_shard, _by_folder, _by_name):
        found: SplitFiles = {}
        for file in files:
            for split in rule(file.relative_to(folder)):
                found.setdefault(split, []).append(file)
        if found:
            order = [*KEYWORDS, *found]
            return dict(sorted(found.items(), key=lambda item: order.index(item[0])))
    return {"train": files}


def require_within(paths: Iterable[Path], folder: Path) -> None:
    """Raises `Damaged` for a path that leads out of the folder; a snapshot in the Hub's cache links to its blobs."""
    root = folder.resolve()
    rooms = [root, root.parents[1] / "blobs"] if root.parent.name == "snapshots" else [root]
    for path in paths:
        if not any(path.resolve().is_relative_to(room) for room in rooms):
            raise Damaged(f"{os.path.relpath(path, folder)} leads out of the folder; copy the file into it")


def _configs(folder: Path) -> dict[str, dict[str, Any]]:
    """`{"main": {"data_files": ..., "data_dir": ..., "default": ...}}` from the README; empty if it names none."""
    if not (card := _card(folder, "configs:")):
        return {}
    from datasets.utils.metadata import MetadataConfigs

    return {
        str(name): each for name, each in MetadataConfigs.from_dataset_card_data(card).items()
    }  # YAML reads 5 as a number


def _card(folder: Path, key: str) -> Any:
    """The metadata of the README, None if it does not have the key."""
    readme = folder / "README.md"
    if not readme.is_file():
        return None
    require_within([readme], folder)
    if (size := readme.stat().st_size) > LONGEST_README:
        raise Damaged(f"its README.md has {size:,} bytes; allowed: at most {LONGEST_README:,}: shorten it")
    text = readme.read_bytes()
    return _data(text.decode()) if text.lstrip().startswith(b"---") and key.encode() in text else None


@lru_cache(maxsize=1)
def _data(readme: str) -> Any:
    from huggingface_hub import DatasetCard

    return DatasetCard(readme, ignore_metadata_errors=True).data


def _chosen(configs: dict[str, dict[str, Any]], config: str | None) -> str:
    """The name of the configuration; empty where the README names none and none is asked for."""
    if config is None and configs:
        marked = [name for name, each in configs.items() if name == "default" or each.get("default")]
        default = list(configs) if len(configs) == 1 else marked
        if len(default) != 1:
            raise UnknownConfig(f"it has several configurations; allowed: {', '.join(configs)}")
        config = default[0]
    if config is not None and config not in configs:
        named = f"allowed: {', '.join(configs)}" if configs else "its README names no `configs`; unset it"
        raise UnknownConfig(f"it has no such configuration; {named}")
    return config or ""


def _inside(pattern: str) -> str:
    """The pattern, if it cannot lead out of the folder."""
    if "://" in pattern or PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
        raise Damaged(f"its README names {pattern!r}, which is outside the folder; copy the file into it")
    return pattern


def _matching(inner: Path, folder: Path, pattern: str) -> list[Path]:
    wanted = REPEATED.sub("**/", _inside(pattern) + ("/*" if pattern.endswith("**") else ""))
    if wanted.count("**") > MOST_STARS:
        raise Damaged(f"its README names {pattern!r}, with more than {MOST_STARS} times **; name the folders")
    found = [path for path in sorted(inner.glob(wanted)) if path.is_file() and is_rows(path)]
    if not found:
        raise Damaged(f"its README names {pattern!r}, where no file of rows is; allowed: {allowed()}")
    require_within(found, folder)
    return found


def _row_files(inner: Path, folder: Path) -> list[Path]:
    """Every file of rows below `inner`, without hidden ones."""
    found: list[Path] = []
    seen = 0
    for place, folders, names in os.walk(inner):
        seen += len(folders) + len(names)
        if seen > MOST_FILES:
            raise Damaged(f"it holds more than {MOST_FILES:,} files and folders; name the folder of the rows alone")
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        require_within((Path(place, name) for name in folders), folder)
        shown = (Path(place, name) for name in sorted(names) if not name.startswith(".") and name not in NO_ROWS)
        found += [path for path in shown if is_rows(path) and (path.is_file() or path.is_symlink())]
    if not found:
        raise Damaged(f"it holds no file of rows; allowed: a file, or a folder with files, of {allowed()}")
    require_within(found, folder)
    return found


def _by_shard(file: PurePath) -> list[str]:
    match = SHARD.fullmatch(file.name) if file.parent == PurePath("data") else None
    return [match[1]] if match else []


def _by_folder(file: PurePath) -> list[str]:
    return _named_in(file.parts[:-1], rf"(?:.*{SEPARATOR})?(?:{{}})(?:{SEPARATOR}.*)?")


def _by_name(file: PurePath) -> list[str]:
    return _named_in([file.name], rf"(?:.*{SEPARATOR})?(?:{{}}){SEPARATOR}.*")


def _named_in(names: Iterable[str], form: str) -> list[str]:
    names = list(names)
    return [split for split, words in KEYWORDS.items() if any(re.fullmatch(form.format(words), name) for name in names)]
