"""The merged model: its type, its weights, and the share of the update that it says it keeps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from grpo_job.engines.rollouts.weight_sync import lora_layers
from grpo_job.engines.trainer.adapter import ADAPTER
from grpo_job.engines.trainer.merge import merge
from grpo_job.inputs import sample
from grpo_job.inputs.base_model import BaseModel
from tests.engines.rollouts.fake_vllm import model_with_lora

SMALL = 1e-5
NAME = "model.layers.0.self_attn.q_proj"


def base_in(dtype: torch.dtype, folder: Path) -> BaseModel:
    AutoModelForCausalLM.from_pretrained(sample.MODEL, dtype=dtype).save_pretrained(str(folder))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((sample.MODEL / name).read_bytes())
    return BaseModel(folder=folder, name="sample", commit=None, licence={})


def merged(tmp_path: Path, std: float, dtype: str) -> tuple[dict[str, Any], torch.Tensor, Any]:
    """What is told, the first layer's merged weight, and the adapted layer."""
    model = model_with_lora(std)
    model.float().save_pretrained(str(tmp_path / "adapter"))
    told = merge(base_in(torch.bfloat16, tmp_path / "base"), tmp_path / "adapter", tmp_path / "merged", dtype)
    return told, load_file(tmp_path / "merged" / "model.safetensors")[f"{NAME}.weight"], lora_layers(model)[0]


@pytest.mark.parametrize("dtype", ["model", "float16", "float32"])
def test_a_merged_model_tells_its_type_and_what_each_type_keeps(tmp_path: Path, dtype: str) -> None:
    told, weight, layer = merged(tmp_path, SMALL, dtype)
    assert told["dtype"] == str(weight.dtype).removeprefix("torch.") == ("bfloat16" if dtype == "model" else dtype)
    assert told["kept"]["bfloat16"] < 0.1
    assert told["kept"]["bfloat16"] < told["kept"]["float16"] < told["kept"]["float32"]
    assert told["kept"]["float32"] == pytest.approx(1.0, abs=0.01)
    if dtype == "float32":
        update = layer.lora_B[ADAPTER].weight @ layer.lora_A[ADAPTER].weight * layer.scaling[ADAPTER]
        assert torch.allclose(weight, layer.base_layer.weight + update, atol=1e-9)


def test_an_adapter_that_changes_nothing_has_no_share(tmp_path: Path) -> None:
    told, weight, layer = merged(tmp_path, 0.0, "model")
    assert set(told["kept"].values()) == {None}
    assert torch.equal(weight, layer.base_layer.weight.bfloat16())
