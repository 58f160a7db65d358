"""What the README says is what the code does."""

import re

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
    for name in re.findall(r"[\w/]+\.(?:py|md)", the_map):
        assert list(ROOT.rglob(name)), name
