"""Weights that transformers would not load are refused before a run begins."""

from pathlib import Path

from grpo_job.inputs.base_model import BaseModel
from grpo_job.preflight import weights


def test_a_safetensors_file_of_another_name_is_not_the_models(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    (tmp_path / "decoy.safetensors").touch()
    fault = weights.fault(BaseModel("m", tmp_path, None, {}))
    assert (fault or "").startswith("it holds neither model.safetensors nor model.safetensors.index.json")
