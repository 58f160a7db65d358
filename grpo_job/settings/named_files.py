"""Digests of the files that settings name: what such a file holds changes a result as the setting does.

Of rewards these are the files that are named, and the modules of dotted paths where Python finds them; what they
import is not looked at.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grpo_job.settings import plain_files
from grpo_job.settings.fields import Fields

REWARD_FILES = "reward_files"
FOLDERS = tuple(sys.path)  # as the process began, with those of PYTHONPATH: a loaded reward adds the folder of its file


def digests(settings: Fields) -> dict[str, Any]:
    """SHA-256 of the chat template's file, and of each file of rewards by its name; what cannot be read is left out."""
    template = None if settings.chat_template in (None, "plain") else _first_digest([Path(settings.chat_template)])
    files = {name: digest for name, places in _of_rewards(settings) if (digest := _first_digest(places))}
    return {
        **({"chat_template_sha256": template} if template else {}),
        **({REWARD_FILES: files} if files else {}),
    }


def _of_rewards(settings: Fields) -> Iterator[tuple[str, list[Path]]]:
    """What names a file, and where that may be: the first place that has one counts."""
    for name in (*(name for name, _ in settings.rewards), settings.measure):
        module, double_colon, _ = name.partition("::")
        if double_colon:
            yield module, [Path(module), *_in_reward_path(settings, module)]
        elif "." in name and not name.startswith("grpo_job."):
            module = name.rpartition(".")[0]
            yield module, _places_of(module, [*_in_reward_path(settings, ""), *map(Path, FOLDERS)])
    for options in settings.reward_options.values():
        if isinstance(options, dict) and isinstance(file := options.get("prompt_file"), str) and file:
            yield file, [Path(file)]


def _in_reward_path(settings: Fields, name: str) -> list[Path]:
    return [Path(settings.reward_path, name)] if settings.reward_path else []


def _places_of(module: str, folders: list[Path]) -> list[Path]:
    """As Python looks for it: in each folder a package first."""
    path = module.replace(".", "/")
    return [folder / name for folder in folders for name in (f"{path}/__init__.py", f"{path}.py")]


def _first_digest(places: list[Path]) -> str | None:
    for place in places:
        try:
            return hashlib.sha256(plain_files.content_of(place)).hexdigest()
        except (OSError, RuntimeError, ValueError):  # the checks say why
            continue
    return None
