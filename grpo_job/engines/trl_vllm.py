"""TRL's own trainer on a GPU, vLLM in the same process: bf16 base with a LoRA.

The yardstick beside Unsloth, the fallback for models that Unsloth does not support, and for several GPUs that must
share a base: each process trains on a base of its own, whose gradients are averaged (averaging.py), or on its part of
one (FSDP, with DDP).
vLLM holds weights of its own, into which the adapter is folded; if they do not fit beside training, several GPUs
share them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import trl.generation.vllm_generation
from torch.distributed.elastic.utils.distributed import get_free_port
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed
from trl import GRPOConfig
from trl.trainer.utils import ensure_master_addr_port

from grpo_job.engines.base import VllmTrainerEngine
from grpo_job.engines.interface import RewardFunctions
from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.engines.rollouts.generate import Rollouts, Seeds, seed_of
from grpo_job.engines.rollouts.tensor_parallel import SpreadRollouts
from grpo_job.engines.rollouts.vllm_engine import llm_built_with, separate_arguments
from grpo_job.engines.rollouts.weight_sync import SeparateWeights
from grpo_job.engines.trainer import memory_dry_run, merging
from grpo_job.engines.trainer.adapter import add_lora
from grpo_job.engines.trainer.arguments import grpo_arguments, on_gpu, reads_log_probs
from grpo_job.engines.trainer.averaging import in_place_of_ddp
from grpo_job.engines.trainer.callback import ListeningCallback
from grpo_job.engines.trainer.fsdp import shard_layers
from grpo_job.engines.trainer.loading import refusing_bad_files
from grpo_job.engines.trainer.trainer import JobTrainer
from grpo_job.inputs.base_model import BaseModel
from grpo_job.planner.plan import Plan
from grpo_job.settings.global_batch import planned_steps, share, steps_per_buffer
from grpo_job.settings.schema import Settings


class TrlVllm(VllmTrainerEngine):
    """The base twice, in transformers for training and in vLLM for generation."""

    def __init__(
        self,
        settings: Settings,
        base: BaseModel,
        rows: Sequence[dict[str, Any]],
        rewards: RewardFunctions,
        folder: Path,
        plan: Plan,
        ranks: Ranks = ALONE,
        start: Path | None = None,
    ) -> None:
        self.base, self.ranks, self.start, self.tensor_parallel = base, ranks, start, plan.tensor_parallel
        self.planned_steps = planned_steps(settings, len(rows))
        settings = share(settings, ranks.count)
        if ranks.count == 1:
            # A free port; accelerate and TRL would try 29500 first, as every other run on this machine does.
            ensure_master_addr_port(port=get_free_port())
        with refusing_bad_files(base):
            self.tokenizer = AutoTokenizer.from_pretrained(base.folder)
        self.take_template(settings)
        set_seed(settings.lora_seed)
        self.model = self._with_lora(settings, plan, start)
        self.callback = ListeningCallback(steps_per_buffer(settings), ranks)
        arguments = grpo_arguments(
            settings, base.config(), steps=self.planned_steps, reward_weights=[w for _, w in rewards]
        )
        over = {"vllm_max_model_length": plan.max_model_len, "vllm_tensor_parallel_size": plan.tensor_parallel}
        with llm_built_with(separate_arguments(plan, settings, base.config()), trl.generation.vllm_generation):
            args = GRPOConfig(output_dir=str(folder), **{**on_gpu(arguments, plan), **over})
            self.trainer = JobTrainer(
                self.model, self.tokenizer, args, rows, rewards, self.callback, self.chat, settings
            )
        if plan.base_shards == 1:
            in_place_of_ddp(self.trainer, ranks)
        self.trainer.dry_run_sizes = memory_dry_run.sizes(settings, plan, rows, self.chat)
        self.trainer.room = merging.room(plan, settings) if plan.base_shards == 1 else None
        self.llm = self.trainer.vllm_generation.llm
        self._hand_over_by(SeparateWeights(self.model, self.llm, plan, settings.seed))
        kind = SpreadRollouts if plan.tensor_parallel > 1 else Rollouts
        rollouts = kind(self.trainer, self.llm, self.weights, log_probs=reads_log_probs(self.trainer.args))
        rollouts.seeds = Seeds(seed_of(settings.seed, ranks.number // plan.tensor_parallel))
        self.trainer.vllm_generation = rollouts

    def _with_lora(self, settings: Settings, plan: Plan, start: Path | None) -> Any:
        """The base under its LoRA, on this process's GPU; a shared one is cut there layer by layer."""
        device = torch.device("cuda", torch.cuda.current_device())
        with refusing_bad_files(self.base):
            model = add_lora(_load(self.base.folder, plan, device if plan.base_shards == 1 else None), settings, start)
        if plan.base_shards > 1:
            shard_layers(model, device, plan.base_shards)
        return model


def _load(folder: Path, plan: Plan, device: torch.device | None) -> Any:
    """The base on `device`, in 4 bits if the plan says so; without a device, in the host's memory."""
    quantized = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, plan.dtype),
    )
    return AutoModelForCausalLM.from_pretrained(
        folder,
        use_safetensors=True,
        dtype=getattr(torch, plan.dtype),
        device_map={"": device} if device else None,
        quantization_config=quantized if plan.load_in_4bit else None,
    )
