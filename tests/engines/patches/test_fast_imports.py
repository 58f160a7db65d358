"""Imports without what the job has no use for."""

import importlib.metadata
import subprocess
import sys

import pydantic
import pytest

from grpo_job.engines.patches.fast_imports import lean_imports, packages_distributions

pytestmark = pytest.mark.slow


def test_it_answers_what_python_itself_answers() -> None:
    theirs, ours = importlib.metadata.packages_distributions(), packages_distributions()
    theirs.pop("__pycache__", None)
    assert len(ours) > 50
    assert {name: set(found) for name, found in ours.items()} == {name: set(found) for name, found in theirs.items()}


def test_within_everybody_gets_one_list_and_behind_it_pythons_own_is_back() -> None:
    before = importlib.metadata.packages_distributions
    with lean_imports():
        assert importlib.metadata.packages_distributions() is importlib.metadata.packages_distributions()
    assert importlib.metadata.packages_distributions is before


def described(module: str) -> type[pydantic.BaseModel]:
    return type("Described", (pydantic.BaseModel,), {"__module__": module, "__annotations__": {"number": int}})


def test_models_of_requests_are_prepared_when_they_are_used() -> None:
    with lean_imports():
        request, other = described("vllm.entrypoints.openai.protocol"), described("vllm.config")
    assert not request.__pydantic_complete__
    assert other.__pydantic_complete__
    assert request(number="3").model_dump() == {"number": 3}  # type: ignore[call-arg]
    with pytest.raises(pydantic.ValidationError):
        request(number="three")  # type: ignore[call-arg]


def test_after_the_block_pydantic_prepares_all_models_at_once() -> None:
    with lean_imports():
        pass
    assert described("vllm.entrypoints.openai.protocol").__pydantic_complete__


def test_transformers_reads_each_of_its_models_once() -> None:
    """In a process of its own, for it reads them when it is imported."""
    code = """
from grpo_job.engines.patches.fast_imports import lean_imports
with lean_imports():
    import transformers.models
    from transformers.utils.import_utils import create_import_structure_from_path as look
print(look.cache_info().hits > 300, hasattr(transformers, "Qwen2Config"))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["True", "True"]


def test_trls_profiling_is_imported_without_mlflow() -> None:
    """In a process of its own, for others may have imported either."""
    code = """
import sys
from grpo_job.engines.patches.fast_imports import lean_imports
with lean_imports():
    from trl.extras import profiling
print("mlflow" in sys.modules, type(profiling.mlflow).__name__)
import mlflow
print(type(mlflow).__name__, profiling.mlflow.active_run is mlflow.active_run)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["False", "LaterModule", "module", "True"]
