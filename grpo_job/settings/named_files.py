"""Digests of the files that settings name: what such a file holds changes a result as the setting does.

Of rewards these are files that are named, and modules in GRPO_REWARD_PATH; what they import is not looked at.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from grpo_job.settings import plain_files
from grpo_job.settings.fields import Fields


def digests(settings: Fields) -> dict[str, str]:
    """The SHA-256 of each file, by what names it. One that cannot be read is left out: the checks say why."""
    found = {name: _first_digest(places) for name, places in _named(settings)}
    return {f"{name}_sha256": digest for name, digest in found.items() if digest}


def _named(settings: Fields) -> Iterator[tuple[str, list[Path]]]:
    """What names a file, and where that may be: the first place that has one counts."""
    if settings.chat_template not in (None, "plain"):
        yield "chat_template", [Path(settings.chat_template)]
    for name in (*(name for name, _ in settings.rewards), settings.measure):
        module, double_colon, _ = name.partition("::")
        if double_colon:
            yield module, [Path(module), *_in_reward_path(settings, module)]
        elif "." in name:
            module = name.rpartition(".")[0]
            path = module.replace(".", "/")
            yield module, _in_reward_path(settings, f"{path}.py", f"{path}/__init__.py")
    for reward, options in settings.reward_options.items():
        if isinstance(options, dict) and isinstance(file := options.get("prompt_file"), str) and file:
            yield f"{reward}_prompt_file", [Path(file)]


def _in_reward_path(settings: Fields, *names: str) -> list[Path]:
    return [Path(settings.reward_path, name) for name in names] if settings.reward_path else []


def _first_digest(places: list[Path]) -> str | None:
    for place in places:
        try:
            return hashlib.sha256(plain_files.content_of(place)).hexdigest()
        except (OSError, RuntimeError, ValueError):  # the checks say why
            continue
    return None
