"""The house rules of imports: heavy libraries load late, and parts know only what stands below them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "trl", "peft", "unsloth", "vllm", "datasets", "boto3", "huggingface_hub")
PACKAGE = Path(__file__).parents[1] / "grpo_job"
# Parts that do not know each other; the stores stand below two of them.
PARTS = {"dataset", "rewards", "engines", "evaluation", "checkpoints", "publishing", "reports", "health", "trackers"}
BELOW = ("settings", "kinds", "setting_kinds", "grpo_config", "recipes", "run_folder", "failures", "redaction")
ABOVE = {
    "cli", "process_end", "steering", "launcher", "following", "job", "attempt", "endings", "resuming",
    "before_training", "training", "midway", "measurement", "samples", "delivery", "back_off", "reevaluation",
    "preflight",
}  # fmt: skip


@pytest.mark.parametrize("module", ["grpo_job.job", "grpo_job.cli", "grpo_job.settings_reader", "grpo_job.preflight"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    told = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    command = [sys.executable, "-c", told]
    loaded = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


def test_the_package_itself_imports_nothing() -> None:
    told = "import sys; before = set(sys.modules); import grpo_job; print(*sorted(set(sys.modules) - before))"
    command = [sys.executable, "-c", told]
    loaded = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == ["grpo_job"]


@pytest.mark.parametrize("part", sorted(PARTS | {"stores"}))
def test_a_part_knows_no_other_part_and_nothing_above(part: str) -> None:
    allowed = {"stores"} if part in ("checkpoints", "publishing") else set()
    assert not imported_by(part) & ((PARTS | ABOVE | {"stores"}) - {part} - allowed)


@pytest.mark.parametrize("module", BELOW)
def test_what_stands_below_knows_only_what_stands_there_too(module: str) -> None:
    assert imported_by(module) <= set(BELOW)


def imported_by(part: str) -> set[str]:
    """The modules and folders of the package that a part names in its imports, late ones included."""
    files = [*(PACKAGE / part).rglob("*.py")] or [PACKAGE / f"{part}.py"]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    named = [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grpo_job")]
    below = {node.module.split(".")[1] for node in named if node.module and "." in node.module}
    return below | {alias.name for node in named if node.module == "grpo_job" for alias in node.names}
