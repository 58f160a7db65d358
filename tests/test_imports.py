"""The house rules of imports: heavy libraries load late, and parts know only what is below them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "grpo_job"
HEAVY = ("torch", "transformers", "trl", "peft", "unsloth", "vllm", "datasets", "boto3", "huggingface_hub")
ONLY_IN_ENGINES = {"torch", "transformers", "trl", "peft", "unsloth", "vllm", "accelerate", "bitsandbytes"}
# From the top down. A part imports from floors below its own; parts on one floor do not know each other.
FLOORS = (
    ("cli",),
    ("job", "worker"),
    ("phases",),
    ("preflight", "engines"),
    ("planner",),
    ("inputs", "runtime", "checkpoints"),
    ("stores", "reports", "monitoring"),
    ("run_folder",),
    ("settings", "rewards"),
    ("outcomes", "evaluation"),
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}


@pytest.mark.parametrize("module", ["grpo_job.job", "grpo_job.cli", "grpo_job.settings.reader", "grpo_job.preflight"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") & set(HEAVY) == set()


def test_the_package_itself_imports_nothing() -> None:
    assert {name for name in loaded_by("import grpo_job") if name.startswith("grpo_job")} == {"grpo_job"}


def test_the_table_of_floors_names_every_part() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(FLOOR_OF) == parts - {"__init__"}


@pytest.mark.parametrize("part", sorted(FLOOR_OF))
def test_a_part_knows_only_what_is_below_it(part: str) -> None:
    above = {other for other in imported_by(part) - {part} if FLOOR_OF[other] <= FLOOR_OF[part]}
    assert above == set()


@pytest.mark.parametrize("part", sorted(set(FLOOR_OF) - {"engines"}))
def test_only_engines_import_torch_and_its_kin(part: str) -> None:
    named = {name.split(".")[0] for file in files_of(part) for name in modules_named_in(file)}
    assert named & ONLY_IN_ENGINES == set()


def test_stores_know_of_a_run_folder_only_how_files_are_written() -> None:
    named = {name for file in files_of("stores") for name in modules_named_in(file) if "run_folder" in name}
    assert named == {"grpo_job.run_folder.files"}


def test_the_entrypoint_imports_the_signal_handler_before_all_else() -> None:
    first = next(name for name in modules_named_in(ROOT / "entrypoint.py") if name.startswith("grpo_job"))
    assert first == "grpo_job.runtime.signals"


def loaded_by(statement: str) -> set[str]:
    """The modules that are loaded after `statement` in a fresh interpreter and were not before."""
    told = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    command = [sys.executable, "-c", told]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def imported_by(part: str) -> set[str]:
    """The parts of the package that a part names in its imports, late ones included."""
    named = [name for file in files_of(part) for name in modules_named_in(file)]
    return {name.split(".")[1] for name in named if name.startswith("grpo_job.")}


def files_of(part: str) -> list[Path]:
    return [*(PACKAGE / part).rglob("*.py")] or [PACKAGE / f"{part}.py"]


def modules_named_in(file: Path) -> list[str]:
    """In the order of the file; `from grpo_job import job` names `grpo_job.job`."""
    named: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "grpo_job":
            named += [f"grpo_job.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.append(node.module)
    return named
