"""What the README says is what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.readme_tables import README, filled

ROOT = README.parent


def test_its_tables_are_those_of_the_code() -> None:
    assert filled(README.read_text()) == README.read_text(), "run `make readme`"


def test_every_make_target_it_names_exists() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", README.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert named <= targets


def test_every_file_of_its_map_exists() -> None:
    the_map = README.read_text().split("## The map")[1].split("```")[1]
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    there = {path.relative_to(ROOT).as_posix() for folder in (*folders, ROOT) for path in files_in(folder)}
    for name in re.findall(r"[\w/]+\.(?:py|md)", the_map):
        assert any(f"/{path}".endswith(f"/{name}") for path in there), name


def files_in(folder: Path) -> Iterator[Path]:
    """All below `folder`; of the root itself only what lies there, for an environment may be beside the code."""
    return folder.glob("*") if folder == ROOT else folder.rglob("*")
