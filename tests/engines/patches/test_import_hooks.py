"""Modules that are looked at when they are imported, and modules that are not imported before they are used."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from grpo_job.engines.patches.import_hooks import LaterModule, imported_later, on_import

FILES = {
    "spared.py": "def double(number):\n    return 2 * number\n\nRAN = True\n",
    "spared_package/__init__.py": "NAME = 'a package'\n",
    "spared_package/part.py": "RAN = True\n",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module and a package that nobody has imported."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("spared")]:
        del sys.modules[name]


def has_run(module: ModuleType) -> bool:
    return "RAN" in vars(module) or "NAME" in vars(module)


def test_a_module_is_shown_once_it_has_run() -> None:
    seen = []
    with on_import("spared", lambda module: seen.append(module.RAN)):
        importlib.import_module("spared")
    assert seen == [True]


def test_a_module_that_is_never_asked_is_not_imported() -> None:
    finders = list(sys.meta_path)
    with imported_later({"spared": ()}):
        spared = importlib.import_module("spared")
    assert isinstance(spared, LaterModule)
    assert not has_run(spared)
    assert "spared" not in sys.modules
    assert sys.meta_path == finders


@pytest.mark.parametrize("name", ["__file__", "__spec__", "__doc__", "__wrapped__"])
def test_those_who_look_through_all_modules_import_none(name: str) -> None:
    with imported_later({"spared": (), "spared_package": ()}):
        for module in (importlib.import_module("spared"), importlib.import_module("spared_package")):
            hasattr(module, name)
            assert sys.modules[module.__name__] is module


def test_what_is_asked_of_it_is_imported_within_the_block_and_after_it() -> None:
    with imported_later({"spared": (), "spared_package": ()}):
        spared, package = importlib.import_module("spared"), importlib.import_module("spared_package")
        assert spared.RAN
        assert has_run(sys.modules["spared"])
    assert package.NAME == "a package"
    assert has_run(sys.modules["spared_package"])


def test_a_callable_that_is_taken_by_name_counts_as_asked_for_when_it_is_called() -> None:
    with imported_later({"spared": ("double",)}):
        from spared import double  # type: ignore[import-not-found]
    assert "spared" not in sys.modules
    assert double(21) == 42
    assert has_run(sys.modules["spared"])


def test_another_name_is_taken_from_the_module_itself() -> None:
    with imported_later({"spared": ("double",)}):
        from spared import RAN
    assert RAN


def test_a_part_of_a_package_imports_the_package_first() -> None:
    with imported_later({"spared_package": ()}):
        importlib.import_module("spared_package")
        part = importlib.import_module("spared_package.part")
    assert has_run(sys.modules["spared_package"])
    assert sys.modules["spared_package"].part is part


def test_a_submodule_leaves_its_package_when_the_block_ends() -> None:
    with imported_later({"spared_package.part": ()}):
        importlib.import_module("spared_package.part")
    package = sys.modules["spared_package"]
    assert not hasattr(package, "part")
    assert has_run(importlib.import_module("spared_package.part"))


def test_it_is_found_where_a_library_looks_whether_it_is_installed() -> None:
    with imported_later({"spared": ()}):
        importlib.import_module("spared")
        assert importlib.util.find_spec("spared") is not None


def test_what_is_not_installed_is_missing_as_ever() -> None:
    with imported_later({"spared_and_absent": ()}), pytest.raises(ModuleNotFoundError, match="spared_and_absent"):
        importlib.import_module("spared_and_absent")


def test_a_module_that_was_there_before_stays() -> None:
    there = importlib.import_module("spared")
    with imported_later({"spared": ()}):
        assert importlib.import_module("spared") is there
    assert sys.modules["spared"] is there
