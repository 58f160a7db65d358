"""TRL's own trainer on a CPU: transformers generates, peft holds the LoRA.

For smoke runs and tests of everything around the training.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoTokenizer, set_seed
from trl import GRPOConfig

from grpo_job.engines.base import TrainerEngine
from grpo_job.engines.interface import Prompts, RewardFunctions
from grpo_job.engines.patches import cpu_log_probs
from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.engines.rollouts.on_cpu import few_threads, generate, load_base
from grpo_job.engines.trainer import memory_dry_run
from grpo_job.engines.trainer.adapter import add_lora
from grpo_job.engines.trainer.arguments import grpo_arguments, on_cpu
from grpo_job.engines.trainer.averaging import in_place_of_ddp
from grpo_job.engines.trainer.callback import ListeningCallback
from grpo_job.engines.trainer.loading import refusing_bad_files
from grpo_job.engines.trainer.trainer import JobTrainer
from grpo_job.evaluation.completion import Completion
from grpo_job.inputs.base_model import BaseModel
from grpo_job.settings.global_batch import planned_steps, share, steps_per_buffer
from grpo_job.settings.schema import Settings


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
        few_threads(base.config())
        self.base, self.ranks, self.start = base, ranks, start
        self.planned_steps = planned_steps(settings, len(rows))
        settings = share(settings, ranks.count)
        with refusing_bad_files(base):
            self.tokenizer = AutoTokenizer.from_pretrained(base.folder, padding_side="left")
            self.take_template(settings)
            set_seed(settings.lora_seed)
            self.model = add_lora(load_base(base.folder), settings, start)
        weights = [weight for _, weight in rewards]
        arguments = on_cpu(grpo_arguments(settings, base.config(), steps=self.planned_steps, reward_weights=weights))
        self.callback = ListeningCallback(steps_per_buffer(settings), ranks)
        args = GRPOConfig(output_dir=str(folder), **arguments)
        # Of several processes each would have a device such as `cpu:1`, which torch.load does not know.
        vars(args)["_setup_devices"] = torch.device("cpu")
        self.trainer = JobTrainer(self.model, self.tokenizer, args, rows, rewards, self.callback, self.chat, settings)
        in_place_of_ddp(self.trainer, ranks)
        self.trainer.dry_run_sizes = memory_dry_run.sizes(settings, None, rows, self.chat)

    def answer(self, prompts: Prompts, **options: Any) -> list[list[Completion]]:
        """Completions through transformers; see `Engine.generate`."""
        return generate(self.model, self.tokenizer, self.texts(prompts), **options, on_answers=self.on_answers)

    def generate_from(self, adapter: Path, prompts: Prompts, max_tokens: int) -> list[str]:
        """Greedy answers of the adapter as it is on disk, over a base loaded again."""
        model = PeftModel.from_pretrained(load_base(self.base.folder), adapter)
        texts = self.texts(prompts)
        return [one[0].text for one in generate(model, self.tokenizer, texts, adapter="on", max_tokens=max_tokens)]
