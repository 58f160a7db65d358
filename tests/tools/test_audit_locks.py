"""The audit of the locks tells what was looked up and what was not; pip-audit alone passes where it saw nothing."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOLD: Callable[[str, dict[str, Any] | None], tuple[str, bool]] = runpy.run_path(
    str(Path(__file__).parents[2] / "tools/audit_locks.py")
)["told"]
CLEAN = {"name": "rich", "version": "14.0", "vulns": []}
HIT = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-2024-1", "fix_versions": ["3.1.3"]}]}
UNSEEN = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.11.0)"}


def test_a_known_vulnerability_fails_and_is_named() -> None:
    text, clean = TOLD("cpu.lock", {"dependencies": [CLEAN, HIT, UNSEEN]})
    assert not clean
    assert "2 of 3 packages looked up, 1 known" in text
    assert "jinja2 3.1.2: PYSEC-2024-1, fixed in 3.1.3" in text


def test_a_lock_without_one_passes() -> None:
    assert TOLD("cpu.lock", {"dependencies": [CLEAN]}) == (
        "cpu.lock: 1 of 1 packages looked up, 0 known vulnerabilities",
        True,
    )


@pytest.mark.parametrize("found", [None, {"dependencies": [UNSEEN]}])
def test_without_a_database_it_says_that_nothing_was_looked_up(found: dict[str, Any] | None) -> None:
    text, _ = TOLD("cpu.lock", found)
    assert "SKIPPED" in text
