"""TRL's own GRPOTrainer on a CPU: transformers generates, peft holds the LoRA.

For smoke runs and tests of everything around the training.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, set_seed
from trl import GRPOConfig, GRPOTrainer

from grpo_job.base_model import BaseModel
from grpo_job.engines import Listener, cpu_log_probs
from grpo_job.engines.callbacks import ListeningCallback
from grpo_job.engines.grpo_arguments import grpo_arguments, on_cpu, planned_steps, steps_per_buffer
from grpo_job.engines.job_trainer import job_trainer
from grpo_job.settings import Settings

GENERATION_BATCH = 100


def build(
    settings: Settings,
    base: BaseModel,
    rows: Sequence[dict[str, Any]],
    rewards: Sequence[tuple[Callable[..., Any], float]],
    folder: Path,
) -> "PlainTrl":
    """Load the base, add a fresh LoRA. `rewards` are TRL reward functions with their weights."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return PlainTrl(settings, base, rows, rewards, folder)


class PlainTrl:
    """One model in fp32 on the CPU, with one LoRA."""

    name = "trl"

    def __init__(
        self,
        settings: Settings,
        base: BaseModel,
        rows: Sequence[dict[str, Any]],
        rewards: Sequence[tuple[Callable[..., Any], float]],
        folder: Path,
    ) -> None:
        cpu_log_probs.install()
        self.settings, self.base, self.rows, self.rewards, self.folder = settings, base, rows, rewards, folder
        self.planned_steps = planned_steps(settings, len(rows))
        self.tokenizer = AutoTokenizer.from_pretrained(base.folder, padding_side="left")
        set_seed(settings.lora_seed)
        self.model = get_peft_model(_load(base.folder), _lora(settings))

    def train(self, listener: Listener, resume_from: Path | None = None) -> None:
        """Run to the planned number of steps, or until the listener stops it."""
        weights = [weight for _, weight in self.rewards]
        arguments = on_cpu(grpo_arguments(self.settings, steps=self.planned_steps, reward_weights=weights))
        callback = ListeningCallback(listener, steps_per_buffer(self.settings))
        trainer = job_trainer(GRPOTrainer)(
            model=self.model,
            processing_class=self.tokenizer,
            reward_funcs=[function for function, _ in self.rewards],
            train_dataset=Dataset.from_list(list(self.rows)),
            args=GRPOConfig(output_dir=str(self.folder), **arguments),
            callbacks=[callback],
        )
        callback.trainer = trainer
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)

    def generate(
        self,
        prompts: Sequence[list[dict[str, str]]],
        *,
        adapter: Literal["on", "off"],
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """`samples` completions for each prompt; greedy at temperature 0. Leaves every RNG as it was."""
        switch = self.model.disable_adapter() if adapter == "off" else nullcontext()
        with switch:
            return _generate(self.model, self.tokenizer, prompts, max_tokens, temperature, top_p, samples, seed)

    def save_adapter(self, folder: Path) -> None:
        """Write adapter and tokenizer; the adapter's config names the base as the user did."""
        self.model.peft_config["default"].base_model_name_or_path = self.base.name
        self.model.peft_config["default"].revision = self.base.commit
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def generate_from(self, adapter: Path, prompts: Sequence[list[dict[str, str]]], max_tokens: int) -> list[str]:
        """Greedy answers of the adapter as it stands on disk, over a base loaded anew."""
        model = PeftModel.from_pretrained(_load(self.base.folder), adapter)
        return [answers[0] for answers in _generate(model, self.tokenizer, prompts, max_tokens, 0.0, 1.0, 1, 0)]

    def adapter_changes_anything(self) -> bool:
        """Whether any LoRA's second matrix, which starts at zero, has moved."""
        return any(bool(weight.any()) for name, weight in self.model.named_parameters() if "lora_B" in name)

    def close(self) -> None:
        """Nothing is held beyond the process."""


def _load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def _lora(settings: Settings) -> LoraConfig:
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.lora_target_modules),
        task_type="CAUSAL_LM",
    )


def _generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[dict[str, str]]],
    max_tokens: int,
    temperature: float,
    top_p: float,
    samples: int,
    seed: int,
) -> list[list[str]]:
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
    generation = GenerationConfig(
        max_new_tokens=max_tokens,
        num_return_sequences=samples,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **sampling,
    )
    texts = [tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True) for p in prompts]
    was_training = model.training
    model.eval()
    answers: list[str] = []
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(texts), GENERATION_BATCH):
            batch = tokenizer(
                texts[start : start + GENERATION_BATCH], return_tensors="pt", padding=True, add_special_tokens=False
            )
            out = model.generate(**batch, generation_config=generation)
            answers += tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    model.train(was_training)
    return [answers[index : index + samples] for index in range(0, len(answers), samples)]
