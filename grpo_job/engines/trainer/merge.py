"""The base with the adapter folded in, as a model of its own, and what its type keeps of the adapter. On the CPU."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from grpo_job.engines.rollouts.fold import KeptShare, base_weight, matrices
from grpo_job.engines.rollouts.weight_sync import lora_layers
from grpo_job.engines.trainer.adapter import ADAPTER
from grpo_job.inputs.base_model import BaseModel
from grpo_job.run_folder.files import share_as_folder

OFFERED = ("float16", "float32")


def merge(base: BaseModel, adapter: Path, folder: Path, dtype: str) -> dict[str, Any]:
    """Write the model to `folder` in `dtype`, or `model`: in the base's own. Returns what it and each other type keeps.

    `{"dtype": "bfloat16", "kept": {"bfloat16": 0.03, "float16": 0.4, "float32": 1.0}}`; see `KeptShare`, whose share
    is None if the adapter changes nothing.
    """
    loaded = AutoModelForCausalLM.from_pretrained(base.folder, dtype="auto", use_safetensors=True)
    own = str(loaded.dtype).removeprefix("torch.")
    written = own if dtype == "model" else dtype
    adapted = PeftModel.from_pretrained(loaded, str(adapter))
    with torch.inference_mode():
        kept = {name: _kept(adapted, getattr(torch, name)) for name in dict.fromkeys((own, *OFFERED))}
    if written != own:
        adapted = adapted.float()  # in which nothing is lost; the last step rounds once
    adapted.merge_and_unload().to(getattr(torch, written)).save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(base.folder).save_pretrained(str(folder))
    share_as_folder(folder)
    return {"dtype": written, "kept": kept}


def _kept(model: Any, dtype: torch.dtype) -> float | None:
    """The share of the update that weights of this type keep, rounded to nearest."""
    layers = lora_layers(model)
    share = KeptShare(len(layers))
    for number in share.layers:
        share.add(layers[number], _folded(layers[number]).to(dtype))
    return share.take()


def _folded(layer: Any) -> torch.Tensor:
    """W + scale * B A in fp32, [out, in]."""
    weight = base_weight(layer)
    up, down = matrices(layer, weight.dtype)
    return torch.addmm(weight.float(), up.float(), down.float(), alpha=layer.scaling[ADAPTER])
