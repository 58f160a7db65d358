"""docs/troubleshooting.md: each message is one that the package prints, each setting is one that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from grpo_job.outcomes import EXIT_CODES
from grpo_job.settings.schema import known_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
BY_CODE, *PARTS = PAGE.split("\n## ")[1:]
ROWS = [row for part in PARTS for row in re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", part, re.MULTILINE)]
MESSAGES = [message for message, _, _ in ROWS]
VALUE = "\x00"  # stands for what a formatted text puts in


@cache
def printed() -> tuple[str, ...]:
    """Every text of the package, docstrings left out."""
    found = []
    for path in (ROOT / "grpo_job").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [text_of(node) for node in ast.walk(tree) if id(node) not in spoken]
    return tuple(filter(None, found))


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or VALUE for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def pattern(message: str) -> str:
    """The message's own words in their order; each `…` is anything."""
    return ".*".join(re.escape(part.strip(" ")) for part in message.split("…"))


@pytest.mark.parametrize("message", MESSAGES)
def test_it_is_a_sentence_of_the_package(message: str) -> None:
    assert any(re.search(pattern(message), text, re.DOTALL) for text in printed()), message


def test_a_sentence_that_nobody_prints_is_found_out() -> None:
    assert not any(re.search(pattern("the GPU is … tired: let it rest"), text) for text in printed())
    assert len(re.sub(r"\W", "", min(MESSAGES, key=len))) > 7, "too short to be told from other texts"


def test_every_row_of_a_table_is_held() -> None:
    rows = [line for part in PARTS for line in part.splitlines() if line.startswith("|")]
    assert len(rows) - 2 * len(PARTS) == len(ROWS) >= 25
    assert len(set(MESSAGES)) == len(MESSAGES)


def test_every_exit_code_has_its_line() -> None:
    assert re.findall(r"^\| (\d+) \|", BY_CODE, re.MULTILINE) == [str(row.code) for row in EXIT_CODES]


def test_every_setting_that_it_names_exists() -> None:
    assert {name.lower() for name in re.findall(r"GRPO_(\w+)", PAGE)} <= set(known_names())
