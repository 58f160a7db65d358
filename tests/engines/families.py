"""Tiny models with random weights of the families that people fine-tune, with the embedded sample's tokenizer."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from grpo_job.inputs import base_model

SIZES: dict[str, Any] = {
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": None,
}  # fmt: skip
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
# Model type -> what its config needs beside the sizes.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 32},
    "gemma2": {"head_dim": 12, "sliding_window": 32, "query_pre_attn_scalar": 12},
    "gemma3_text": {"num_hidden_layers": 6, "head_dim": 12, "sliding_window": 32, "query_pre_attn_scalar": 12},
    "phi3": {},
    "qwen3": {"head_dim": 12},
    "olmo2": {},
    "granite": {"logits_scaling": 2.0, "residual_multiplier": 0.5},
    "smollm3": {},
    "mixtral": EXPERTS,
}
# For GPUs, whose kernels want heads of 64.
WIDE = {"hidden_size": 256, "intermediate_size": 512, "head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 64}
LONG_WINDOW = {"mistral": 4096}  # shorter than a row, the window of all layers is refused on a GPU
FUSED = ("phi3",)  # q, k and v are one layer, as are gate and up


def make(family: str, folder: Path, *, wide: bool = False) -> Path:
    """The model's folder; `wide`: with heads of 64."""
    shutil.copytree(base_model.fetch("sample", None).folder, folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(5)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    own = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    given = {**SIZES, **own, **FAMILIES[family]}
    config = AutoConfig.for_model(
        family, **{name: WIDE.get(name, value) if wide else value for name, value in given.items()}
    )
    if wide and family in LONG_WINDOW:
        config.sliding_window = LONG_WINDOW[family]
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    return folder


def targets(family: str) -> str:
    """The linear layers that a LoRA adapts."""
    both = ("qkv_proj", "gate_up_proj") if family in FUSED else ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
    return ",".join((*both, "o_proj", "down_proj"))
