"""What README and docs say is what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_job.run_folder.paths import RunFolder
from grpo_job.run_folder.summary import PHASES, Summary
from tests.test_imports import FLOORS
from tools.readme_tables import PAGES, README, filled

ROOT = README.parent
DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_tables_are_those_of_the_code(page: Path) -> None:
    assert filled(page) == page.read_text(), "run `make readme`"


def test_every_make_target_it_names_exists() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", README.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert named <= targets


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_what_it_links_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / target).is_file(), target


def test_every_file_of_its_map_exists() -> None:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    there = {path.relative_to(ROOT).as_posix() for folder in (*folders, ROOT) for path in files_in(folder)}
    for name in re.findall(r"[\w/]+\.(?:py|md)", the_map()):
        assert any(f"/{path}".endswith(f"/{name}") for path in there), name


def test_its_map_names_every_module_and_folder_of_the_package() -> None:
    package = ROOT / "grpo_job"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    named = set(re.findall(r"\w+\.py\b|\w+/", the_map()))
    assert modules | folders <= named
    assert the_map().count("\n") <= 25


def test_the_package_has_at_most_20_entries() -> None:
    entries = {path.name for path in (ROOT / "grpo_job").iterdir()} - {"__pycache__"}
    assert len(entries) <= 20, sorted(entries)


def test_the_architecture_page_draws_the_floors_that_the_imports_keep() -> None:
    drawn = (DOCS / "architecture.md").read_text().split("```")[1]
    floors = [tuple(re.findall(r"\w+", line)) for line in drawn.strip().splitlines()]
    assert floors == [("entrypoint", "cli"), *FLOORS[1:]]


def test_the_keys_of_a_summary_are_told(tmp_path: Path) -> None:
    page = (DOCS / "run-folder.md").read_text()
    values = Summary(RunFolder(tmp_path).summary, "run").values
    inner = {key for value in values.values() if isinstance(value, dict) for key in value}
    assert {*values, *inner, *PHASES} <= set(re.findall(r"`(\w+)`", page))


def the_map() -> str:
    return README.read_text().split("## The map")[1].split("```")[1]


def files_in(folder: Path) -> Iterator[Path]:
    """All below `folder`; of the root itself only what lies there, for an environment may be beside the code."""
    return folder.glob("*") if folder == ROOT else folder.rglob("*")
