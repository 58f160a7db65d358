"""The house rule that heavy libraries load late."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "trl", "peft", "unsloth", "vllm", "datasets", "boto3", "huggingface_hub")


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
