"""Spares the imports of transformers, TRL and Unsloth 1.5 of 59 s, in which they look for what is installed."""

import importlib.metadata
import inspect
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def lean_imports() -> Iterator[None]:
    """Within, `importlib.metadata.packages_distributions` answers from each package's list of files, and once.

    Python's own looks whether each of the files exists, at every call.
    """
    original = importlib.metadata.packages_distributions
    importlib.metadata.packages_distributions = cache(packages_distributions)
    try:
        yield
    finally:
        importlib.metadata.packages_distributions = original


def packages_distributions() -> dict[str, list[str]]:
    """The distributions that each top-level package or module is from, such as {"yaml": ["PyYAML"]}."""
    found: dict[str, list[str]] = defaultdict(list)
    for distribution in importlib.metadata.distributions():
        declared = (distribution.read_text("top_level.txt") or "").split()
        for name in declared or _listed(distribution.read_text("RECORD") or ""):
            found[name].append(distribution.metadata["Name"])
    return dict(found)


def _listed(record: str) -> set[str]:
    """The importable names at the top of a wheel's list of files, in which each line begins with a path."""
    paths = [line.split(",", 1)[0].split("/") for line in record.splitlines()]
    names = {path[0] if len(path) > 1 else inspect.getmodulename(path[0]) for path in paths}
    return {name for name in names if name and "." not in name and name != "__pycache__"}
