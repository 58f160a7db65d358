"""Skips parts of transformers, TRL, Unsloth and vLLM that this job does not use: a third of their import time.

Each part does nothing where a library looks different; what was spared is imported all the same if anything uses it.
"""

import importlib.metadata
import inspect
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from types import ModuleType
from typing import Any

from grpo_job.engines.patches.import_hooks import imported_later, on_import

# Each with what its importers take of it by name, see `imported_later`.
UNUSED = {
    "mlflow": (),  # TRL's profiling; GRPO_REPORT_TO imports it by itself: 1.9 of 17.6 s
    "scipy.signal": (),  # vLLM, for sound: 0.5 s
    # vLLM, for answers by a grammar: 1.1 s
    "vllm.v1.structured_output.backend_guidance": ("GuidanceBackend",),
    "vllm.v1.structured_output.backend_xgrammar": ("XgrammarBackend",),
}
# Their models describe requests over HTTP, which nobody sends: 1.0 s of pydantic's preparing.
DESCRIBE_REQUESTS = ("vllm.entrypoints.", "openai.", "fastapi.", "mistral_common.", "xgrammar.")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Within, heavy libraries are imported without what this job has no use for."""
    with ExitStack() as stack:
        for part in (
            _one_look_at_packages(),
            on_import("transformers.utils.import_utils", _one_look_at_models),
            imported_later(UNUSED),
            _schemas_when_used(DESCRIBE_REQUESTS),
        ):
            stack.enter_context(part)
        yield


@contextmanager
def _one_look_at_packages() -> Iterator[None]:
    """`importlib.metadata.packages_distributions` answers from each package's list of files, and once: 1.5 of 59 s.

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


def _one_look_at_models(module: ModuleType) -> None:
    """transformers reads all its models for what they export, twice, and remembers the last 128 of 470: 0.3 s."""
    look: Any = getattr(module, "create_import_structure_from_path", None)
    if hasattr(look, "cache_info"):
        module.create_import_structure_from_path = cache(look.__wrapped__)  # type: ignore[attr-defined]


@contextmanager
def _schemas_when_used(packages: tuple[str, ...]) -> Iterator[None]:
    """The pydantic models of these packages get pydantic's own option `defer_build`."""
    wrapper: Any = None
    with suppress(ImportError, AttributeError):
        from pydantic._internal._config import ConfigWrapper as wrapper

        original = vars(wrapper)["for_model"]
    if wrapper is None:
        yield
        return

    def for_model(cls: Any, bases: Any, namespace: Any, *args: Any, **kwargs: Any) -> Any:
        config = original.__get__(None, cls)(bases, namespace, *args, **kwargs)
        if namespace.get("__module__", "").startswith(packages):
            config.config_dict.setdefault("defer_build", True)
        return config

    wrapper.for_model = classmethod(for_model)
    try:
        yield
    finally:
        wrapper.for_model = original
