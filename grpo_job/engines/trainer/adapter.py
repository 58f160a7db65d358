"""The LoRA as peft holds it: made, saved under the base's name, and looked at."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from grpo_job.inputs.base_model import BaseModel
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.schema import Settings

ADAPTER = "default"  # peft's own name for it, which Unsloth's merged rollouts expect


def add_lora(model: Any, settings: Settings, start: Path | None = None) -> Any:
    """`model` with a LoRA: a fresh one, or with the weights of the file `start`."""
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.lora_target_modules),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, config)
    start_from(model, start)
    return model


def start_from(model: Any, weights: Path | None) -> None:
    """Take the start adapter's weights, where there is one, before TRL copies them as the reference."""
    if weights:
        load_adapter(model, weights)


def only_one_adapter(model: Any) -> None:
    """Delete the copy of a fresh LoRA, `ref`, that TRL adds to a PeftModel if `beta` is above 0; TRL then switches the
    LoRA off. That of a start adapter stays: it is the reference.

    A fresh LoRA adds nothing, so the reference is the base either way.
    """
    if changes_anything(model):
        return
    for name in set(getattr(model, "peft_config", {})) - {ADAPTER}:
        model.delete_adapter(name)


def save_adapter(model: Any, tokenizer: Any, base: BaseModel, folder: Path) -> None:
    """Write adapter and tokenizer; the config names the base as the user did, never a local path of ours."""
    config = model.peft_config[ADAPTER]
    config.base_model_name_or_path, config.revision = base.name, base.commit
    # `auto` would ask the Hub whether the base's vocabulary grew
    model.save_pretrained(str(folder), save_embedding_layers=False, selected_adapters=[ADAPTER])
    tokenizer.save_pretrained(str(folder))


def load_adapter(model: Any, weights: Path) -> None:
    """Replace the LoRA weights in memory by those of a safetensors file. Raises `InvalidRun` if they do not fit."""
    try:
        left = set_peft_model_state_dict(model, load_file(weights))
    except RuntimeError as error:  # shapes
        raise InvalidRun(f"{weights}: the adapter does not fit the model: {error}") from error
    missing = [name for name in left.missing_keys if f".{ADAPTER}." in name]  # a reference is not saved with it
    if left.unexpected_keys or missing:
        named = ", ".join([*left.unexpected_keys, *missing][:3])
        raise InvalidRun(f"{weights}: the adapter is not for the same layers: {named}")


def is_saved_in(model: Any, weights: Path) -> bool:
    """Whether a safetensors file holds the LoRA weights in memory, all of them, bit by bit."""
    ours, theirs = get_peft_model_state_dict(model, save_embedding_layers=False), load_file(weights)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name].cpu(), theirs[name]) for name in ours)


def changes_anything(model: Any) -> bool:
    """Whether any LoRA's second matrix, which starts at zero, has moved."""
    return any(bool(weight.any()) for name, weight in model.named_parameters() if f"lora_B.{ADAPTER}" in name)
