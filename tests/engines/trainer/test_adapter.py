"""An adapter's weights come back as they were saved, and those of another model are refused."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from grpo_job.engines.trainer.adapter import add_lora, is_saved_in, load_adapter
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.schema import Settings

SMALL = {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 32, "intermediate_size": 16}


def lora_of(rank: int = 4, layers: int = 1, modules: tuple[str, ...] = ("q_proj",)) -> torch.nn.Module:
    base = LlamaForCausalLM(LlamaConfig(hidden_size=8, num_hidden_layers=layers, **SMALL))
    return add_lora(base, Settings(lora_rank=rank, lora_target_modules=modules))


def saved(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(str(folder))
    return folder / "adapter_model.safetensors"


def test_the_weights_come_back_as_they_were(tmp_path: Path) -> None:
    first, second = lora_of(), lora_of()
    for name, weight in first.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight)
    load_adapter(second, saved(first, tmp_path))
    theirs = dict(second.named_parameters())
    assert all(torch.equal(weight, theirs[name]) for name, weight in first.named_parameters() if "lora_" in name)


@pytest.mark.parametrize(
    "other", [{"rank": 2}, {"layers": 2}, {"modules": ("q_proj", "v_proj")}], ids=["rank", "layers", "modules"]
)
@pytest.mark.parametrize("larger", [True, False])
def test_weights_of_another_shape_are_refused(other: dict[str, object], larger: bool, tmp_path: Path) -> None:
    sides = lora_of(**other), lora_of()
    kept, loaded = sides if larger else sides[::-1]
    with pytest.raises(InvalidRun, match="the adapter"):
        load_adapter(loaded, saved(kept, tmp_path))


def test_saved_weights_are_those_in_memory_until_one_bit_of_them_moves(tmp_path: Path) -> None:
    model = lora_of()
    weights = saved(model, tmp_path)
    assert is_saved_in(model, weights)
    next(weight for name, weight in model.named_parameters() if "lora_B" in name).data[0, 0] = 1e-30
    assert not is_saved_in(model, weights)
