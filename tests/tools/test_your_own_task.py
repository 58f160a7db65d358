"""docs/your-own-task.md is run from top to bottom: its files are written, its lines go through one shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "your-own-task.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = {"bash", "python", "text"}


def blocks() -> list[tuple[str, str, str]]:
    """Language, file name and content of each block."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def test_each_block_is_run_or_compared() -> None:
    found = blocks()
    assert {language for language, _, _ in found} == NAMED
    assert all(name for language, name, _ in found if language == "python")
    assert PAGE.read_text().count("\n```") == 2 * len(found)


@pytest.mark.slow
def test_from_rows_and_a_reward_to_a_verdict(tmp_path: Path) -> None:
    for language, name, content in blocks():
        if language == "python":
            (tmp_path / name).write_text(content, encoding="utf-8")
    script = "set -e\n" + "".join(content for language, _, content in blocks() if language == "bash")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    path = f"{Path(sys.executable).parent}:{clean['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**clean, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for language, _, content in blocks():
        if language == "text":
            assert all(line in done.stdout for line in content.splitlines())
    assert "correct 1, shows_steps 0" in done.stdout
    assert "the first prompt, exactly as the model will see it:" in done.stdout
