"""LoRA adapters as PEFT saves them, made without it: of the sample's layers, and spoilt."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from grpo_job.inputs import base_model
from grpo_job.preflight import weights

Sizes = dict[str, tuple[int, int]]
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def layers(modules: tuple[str, ...] = MODULES) -> Sizes:
    """The sample's linear layers with (outputs, inputs)."""
    shapes = weights.shapes(base_model.fetch("sample", None))
    names = {name.removesuffix(".weight"): shape for name, shape in shapes.items()}
    return {name: (shape[0], shape[1]) for name, shape in names.items() if name.rpartition(".")[2] in modules}


def adapter(
    folder: Path,
    *,
    rank: int = 4,
    sizes: Sizes | None = None,
    more: Mapping[str, Any] | None = None,
    **config: Any,
) -> Path:
    tensors: dict[str, Any] = {}
    for name, (outputs, inputs) in (layers() if sizes is None else sizes).items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = np.ones((rank, inputs), np.float32)
        tensors[f"base_model.model.{name}.lora_B.weight"] = np.ones((outputs, rank), np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({**tensors, **(more or {})}, folder / WEIGHTS)
    told = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "base_model_name_or_path": "sample", **config}
    (folder / CONFIG).write_text(json.dumps(told))
    return folder


def changed(change: Callable[[Sizes], Sizes]) -> Callable[[Path], object]:
    """An adapter whose layers are those of the sample but for a change."""
    return lambda folder: adapter(folder, sizes=change(layers()))
