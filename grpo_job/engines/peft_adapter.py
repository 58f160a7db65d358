"""The LoRA as peft holds it: made, saved under the base's name, and looked at."""

from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model

from grpo_job.base_model import BaseModel
from grpo_job.settings import Settings

ADAPTER = "default"


def add_lora(model: Any, settings: Settings) -> Any:
    """`model` with a fresh LoRA."""
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.lora_target_modules),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def save_adapter(model: Any, tokenizer: Any, base: BaseModel, folder: Path) -> None:
    """Write adapter and tokenizer; the config names the base as the user did, never a local path of ours."""
    config = model.peft_config[ADAPTER]
    config.base_model_name_or_path, config.revision = base.name, base.commit
    # `auto` would ask the Hub whether the base's vocabulary grew
    model.save_pretrained(str(folder), save_embedding_layers=False)
    tokenizer.save_pretrained(str(folder))


def changes_anything(model: Any) -> bool:
    """Whether any LoRA's second matrix, which starts at zero, has moved."""
    return any(bool(weight.any()) for name, weight in model.named_parameters() if "lora_B" in name)
