"""TRL's own trainer on a CPU: transformers generates, peft holds the LoRA.

For smoke runs and tests of everything around the training.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, set_seed
from trl import GRPOConfig

from grpo_job.engines.base import TrainerEngine
from grpo_job.engines.interface import Adapter, Prompts, RewardFunctions
from grpo_job.engines.patches import cpu_log_probs
from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.engines.trainer import memory_dry_run
from grpo_job.engines.trainer.adapter import add_lora
from grpo_job.engines.trainer.arguments import for_transformers, grpo_arguments, on_cpu
from grpo_job.engines.trainer.callback import ListeningCallback
from grpo_job.engines.trainer.dynamic_sampling import DynamicSampling
from grpo_job.engines.trainer.loading import refusing_bad_files
from grpo_job.engines.trainer.trainer import JobTrainer
from grpo_job.engines.trainer.warm_start import WarmStart
from grpo_job.inputs.base_model import BaseModel
from grpo_job.planner.shapes import ModelShape
from grpo_job.settings.global_batch import planned_steps, share, steps_per_buffer
from grpo_job.settings.schema import Settings

GENERATION_BATCH = 100
# Below this size threads wait for each other longer than they compute, and one thread gives the same bytes everywhere.
SMALL_MODEL = 20_000_000


class PlainTrl(TrainerEngine):
    """One model in fp32 on the CPU, with one LoRA."""

    def __init__(
        self,
        settings: Settings,
        base: BaseModel,
        rows: Sequence[dict[str, Any]],
        rewards: RewardFunctions,
        folder: Path,
        ranks: Ranks = ALONE,
        start: Path | None = None,
    ) -> None:
        cpu_log_probs.install()
        if ModelShape.from_config(base.config()).parameters < SMALL_MODEL:
            torch.set_num_threads(1)
        self.base, self.ranks, self.start = base, ranks, start
        self.planned_steps = planned_steps(settings, len(rows))
        settings = share(settings, ranks.count)
        with refusing_bad_files(base):
            self.tokenizer = AutoTokenizer.from_pretrained(base.folder, padding_side="left")
            self.take_template(settings)
            set_seed(settings.lora_seed)
            self.model = add_lora(_load(base.folder), settings, start)
        weights = [weight for _, weight in rewards]
        arguments = on_cpu(grpo_arguments(settings, base.config(), steps=self.planned_steps, reward_weights=weights))
        self.callback = ListeningCallback(steps_per_buffer(settings), ranks)
        args = GRPOConfig(output_dir=str(folder), **arguments)
        # Of several processes each would have a device such as `cpu:1`, which torch.load does not know.
        vars(args)["_setup_devices"] = torch.device("cpu")
        own = WarmStart(settings), DynamicSampling(settings)
        self.trainer = JobTrainer(self.model, self.tokenizer, args, rows, rewards, self.callback, self.chat, *own)
        self.trainer.dry_run_sizes = memory_dry_run.sizes(settings, None, rows, self.chat)

    def answer(self, prompts: Prompts, **options: Any) -> list[list[str]]:
        """Completions through transformers; see `Engine.generate`."""
        return _generate(self.model, self.tokenizer, self.texts(prompts), **options, on_answers=self.on_answers)

    def generate_from(self, adapter: Path, prompts: Prompts, max_tokens: int) -> list[str]:
        """Greedy answers of the adapter as it is on disk, over a base loaded again."""
        model = PeftModel.from_pretrained(_load(self.base.folder), adapter)
        texts = self.texts(prompts)
        return [one[0] for one in _generate(model, self.tokenizer, texts, adapter="on", max_tokens=max_tokens)]


def _load(folder: Path) -> Any:
    """The base in fp32. Of its own ways to generate only the end tokens stay: transformers would add the others."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return model


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Those of the model, one or several, and the tokenizer's: where TRL ends a completion in training."""
    own = model.generation_config.eos_token_id
    ends = own if isinstance(own, list) else [own]
    return list(dict.fromkeys(end for end in (tokenizer.eos_token_id, *ends) if end is not None))


def _generate(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    adapter: Adapter,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    further: Mapping[str, Any] = MappingProxyType({}),
    samples: int = 1,
    seed: int = 0,
    on_answers: Callable[[int, int], object] = lambda done, asked: None,
) -> list[list[str]]:
    """`samples` answers to each rendered prompt; greedy at temperature 0. Random numbers stay as they were."""
    drawn = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p}
    generation = GenerationConfig(
        max_new_tokens=max_tokens,
        num_return_sequences=samples,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=_end_tokens(model, tokenizer),
        repetition_penalty=repetition_penalty,
        **(drawn if temperature else {}),
        **for_transformers(further),
    )
    was_training = model.training
    model.eval()
    answers: list[str] = []
    switch = model.disable_adapter() if adapter == "off" else nullcontext()
    with switch, torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(texts), GENERATION_BATCH):
            asked = texts[start : start + GENERATION_BATCH]
            batch = tokenizer(asked, return_tensors="pt", padding=True, add_special_tokens=False)
            out = model.generate(**batch, generation_config=generation)
            answers += tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
            on_answers(len(answers), samples * len(texts))
    model.train(was_training)
    return [answers[index : index + samples] for index in range(0, len(answers), samples)]
