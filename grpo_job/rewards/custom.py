"""Loads a reward that lives outside this package, by its dotted path, and refuses what cannot be one.

It is imported and looked at here, before a GPU is paid for; it is first called in training.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from grpo_job.outcomes import InvalidRun

RewardFunction = Callable[[str, str], float | None]
_CONTRACT = "def name(completion: str, answer: str) -> float | None"


def load(dotted_path: str, folder: Path | None) -> RewardFunction:
    """The function at `module.function`, its module looked for in `folder` first."""
    module_name, _, name = dotted_path.rpartition(".")
    if folder is not None:
        _look_in(folder)
    module = _import(module_name, dotted_path, folder)
    if not hasattr(module, name):
        where = getattr(module, "__file__", None) or module_name
        raise InvalidRun(f"the reward {dotted_path!r} cannot be loaded: {where} has no {name!r}")
    function = getattr(module, name)
    if problem := _problem(function):
        raise InvalidRun(f"{dotted_path!r} is no reward: {problem}. A reward is `{_CONTRACT}`")
    return function  # type: ignore[no-any-return]  # checked above as far as Python can tell


def _look_in(folder: Path) -> None:
    if not folder.is_dir():
        raise InvalidRun(f"the folder of rewards {folder} is not there")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def _import(module_name: str, dotted_path: str, folder: Path | None) -> object:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # another's code: whatever it raises is the cause to tell
        where = f" (looked in {folder} first)" if folder else ""
        cause = f"importing {module_name!r}{where} raised {type(error).__name__}: {error}"
        raise InvalidRun(f"the reward {dotted_path!r} cannot be loaded: {cause}") from error


def _problem(function: object) -> str:
    """Why it cannot be called as a reward; empty when it can."""
    if not callable(function):
        return f"it is of type {type(function).__name__}, which cannot be called"
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        return "it is async, which is not supported"
    try:
        signature = inspect.signature(function)
        signature.bind("a completion", "an answer")
    except (TypeError, ValueError) as error:
        return f"it cannot be called with a completion and an answer ({error})"
    if {"prompts", "completions"} & signature.parameters.keys():
        return "it takes a batch, as TRL's rewards do; here it judges one completion"
    return ""
