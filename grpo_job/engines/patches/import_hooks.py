"""What happens when a module is imported: something else beside it, or nothing until the module is used.

Knows no library; `fast_imports` and `unsloth_import` say which modules.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def on_import(name: str, then: Callable[[ModuleType], None]) -> Iterator[None]:
    """Within, call `then` with the module of this name once it has run."""
    with _finding(_ThenCall(name, then)):
        yield


@contextmanager
def imported_later(names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Within, these modules are imported only when something of them is asked for, then or at any time after.

    `names`: each module, and the callables of it that importers take by name, which count as asked for when called.
    After the block an import is an import again, also of those that nobody has asked for.
    """
    with _finding(_Later(names)):
        try:
            yield
        finally:
            for name in names:
                _forget(name)


@contextmanager
def _finding(finder: importlib.abc.MetaPathFinder) -> Iterator[None]:
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with suppress(ValueError):  # removed when it found its module
            sys.meta_path.remove(finder)


class _ThenCall(importlib.abc.MetaPathFinder):
    """Finds one module as the others would, and calls `then` with it once it has run."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self.name, self.then = name, then

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_then(module: ModuleType) -> None:
            run(module)
            self.then(module)

        spec.loader.exec_module = run_then  # type: ignore[method-assign]
        return spec


class _Later(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a `LaterModule` for each of the names that is installed, until that is asked for something."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = dict(names)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname not in self.names or (spec := PathFinder.find_spec(fullname, path, target)) is None:
            return None
        # Not as a package: what imports a submodule then asks for the `__path__`, and so for the module itself.
        later = ModuleSpec(fullname, self, origin=spec.origin, loader_state=spec.submodule_search_locations is not None)
        later.has_location = spec.origin is not None
        return later

    def create_module(self, spec: ModuleSpec) -> "LaterModule":
        module = LaterModule(spec.name)
        vars(module)["_callables"] = tuple(self.names.pop(spec.name, ()))
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing of it is run; from now on it may be asked."""
        spec = module.__spec__
        vars(module)["_is_package"] = spec is not None and spec.loader_state


class LaterModule(ModuleType):
    """Stands in for a module until something of it is asked for."""

    _callables: tuple[str, ...]
    _is_package = False

    def __getattr__(self, name: str) -> Any:
        if name in self._callables:
            return lambda *args, **kwargs: getattr(_real(self), name)(*args, **kwargs)
        # Names like `__file__` are asked of every module by those who look through all of them.
        if name.startswith("__") and not (name == "__path__" and self._is_package):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        return getattr(_real(self), name)


def _real(later: LaterModule) -> ModuleType:
    _forget(later.__name__)
    return importlib.import_module(later.__name__)


def _forget(name: str) -> None:
    """Take a stand-in out of where imports look."""
    module, (parent, _, child) = sys.modules.get(name), name.rpartition(".")
    if isinstance(module, LaterModule):
        del sys.modules[name]
        if parent in sys.modules and vars(sys.modules[parent]).get(child) is module:
            delattr(sys.modules[parent], child)
