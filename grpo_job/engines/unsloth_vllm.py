"""On each GPU one process, in which Unsloth trains a LoRA and vLLM generates.

Several processes share nothing but their gradients (`trainer/averaging.py`). Each sees its own GPU alone, because
Unsloth and accelerate take the one of index 0, or of index LOCAL_RANK; see `runtime.world.own_gpu`.

vLLM is built through Unsloth, so that training reads vLLM's weights. If the plan says `copy`, training then gets its
own, and the adapter is folded into those of vLLM before each rollout. If training holds 4 bits beside such a copy, each
loads the base by itself. TRL's trainer asks `Rollouts` for completions and evaluation asks `generate`, both of the same
vLLM.

Heavy imports are inside the functions, after `import_unsloth`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job.engines.base import VllmTrainerEngine
from grpo_job.engines.interface import RewardFunctions
from grpo_job.engines.patches.unsloth_import import import_unsloth, variables_kept
from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.engines.rollouts.vllm_engine import (
    among_ranks,
    compilation,
    llm_built_with,
    separate_llm,
    vllm_arguments,
)
from grpo_job.engines.trainer.arguments import NOT_PASSED, grpo_arguments, on_gpu, reads_log_probs
from grpo_job.engines.trainer.loading import refusing_bad_files
from grpo_job.inputs.base_model import BaseModel
from grpo_job.planner.memory import LOGIT_CHUNK
from grpo_job.planner.plan import Plan
from grpo_job.settings.global_batch import planned_steps, share, steps_per_buffer
from grpo_job.settings.schema import Settings
from grpo_job.settings.trl_options import OWNED, options

# Unsloth guesses with it how long a row may be; what vLLM really takes is in `vllm_arguments`.
SHARE_FOR_UNSLOTHS_GUESS = 0.9

# For a base that is training's alone: all of it on this GPU, where the plan has counted it, and nothing in host memory.
WITHOUT_VLLM = {"fast_inference": False, "device_map": {"": 0}, "offload_embedding": False}


class UnslothVllm(VllmTrainerEngine):
    """The base in vLLM and in training, one LoRA over it."""

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
        os.environ["UNSLOTH_VLLM_MERGED_ROLLOUT"] = "1" if plan.merged_rollout else "0"
        os.environ["UNSLOTH_VLLM_STANDBY"] = "1" if plan.standby else "0"
        os.environ["UNSLOTH_GRPO_LOGPROB_RECOMPUTE"] = "1" if plan.chunked_logits else "0"
        self.base, self.ranks, self.start = base, ranks, start
        self.planned_steps = planned_steps(settings, len(rows))
        settings = share(settings, ranks.count)
        self.model, self.tokenizer = _load_model(base, plan, settings, ranks)
        self.take_template(settings)
        self.model = _add_lora(self.model, plan, settings, start)
        if plan.dequantizes:
            self.model.vllm_engine = separate_llm(base, plan, settings)  # where Unsloth's trainer looks for it

        from grpo_job.engines.rollouts.weight_sync import weight_sync
        from grpo_job.engines.trainer import memory_dry_run, merging
        from grpo_job.engines.trainer.callback import ListeningCallback

        self.llm, self.weights = self.model.vllm_engine, weight_sync(self.model, plan, settings.seed)
        self.callback = ListeningCallback(steps_per_buffer(settings), ranks)
        self._hand_over_by(self.weights)
        arguments = grpo_arguments(
            settings, base.config(), steps=self.planned_steps, reward_weights=[w for _, w in rewards]
        )
        self.trainer = self._trainer(plan, settings, arguments, folder, rows, rewards)
        self.trainer.dry_run_sizes = memory_dry_run.sizes(settings, plan, rows, self.chat)
        self.trainer.room = merging.room(plan, settings)

    def _trainer(
        self,
        plan: Plan,
        settings: Settings,
        arguments: dict[str, Any],
        folder: Path,
        rows: Sequence[dict[str, Any]],
        rewards: RewardFunctions,
    ) -> Any:
        """TRL's trainer as Unsloth patches it and the job extends it, with rollouts through `Rollouts`."""
        from trl import GRPOConfig

        from grpo_job.engines.patches.cuda_graphs import replay_layers
        from grpo_job.engines.patches.unsloth_loss import (
            is_on_policy,
            log_entropy,
            score_by_micro_batches,
            score_by_tokens,
            spare_the_second_forward,
        )
        from grpo_job.engines.rollouts.generate import Rollouts, Seeds, seed_of
        from grpo_job.engines.trainer.averaging import in_place_of_ddp
        from grpo_job.engines.trainer.trainer import JobTrainer

        arguments = with_trl_defaults(on_gpu(arguments, plan)) | pieces(plan)
        args = GRPOConfig(output_dir=str(folder), **arguments)
        args.scale_rewards = arguments["scale_rewards"]  # Unsloth's config turns it off with dr_grpo
        trainer = JobTrainer(self.model, self.tokenizer, args, rows, rewards, self.callback, self.chat, settings)
        if plan.training_graphs:
            score_by_micro_batches(trainer)
        score_by_tokens(LOGIT_CHUNK if plan.chunked_logits else args.max_completion_length)
        log_entropy(trainer)
        log_probs = reads_log_probs(trainer.args)
        if log_probs and is_on_policy(trainer.args):
            spare_the_second_forward(trainer)
        if not plan.standby:  # there TRL's own object puts vLLM to sleep and wakes it
            trainer.vllm_generation = Rollouts(trainer, self.llm, self.weights, log_probs=log_probs)
            trainer.vllm_generation.seeds = Seeds(seed_of(settings.seed, self.ranks.number))
        in_place_of_ddp(trainer, self.ranks)
        _spare_module_walks(trainer)
        if plan.training_graphs:
            replay_layers(self.model.get_base_model().model, plan.row_tokens)
        return trainer


def _spare_module_walks(trainer: Any) -> None:
    """Each step Unsloth and accelerate look at every module for what cannot change here.

    vLLM generates, so the model never leaves training mode; and nothing wraps it, also among several ranks.
    """
    trainer.model.for_training = trainer.model.for_inference = lambda *_, **__: None
    trainer.accelerator.unwrap_model = lambda model, *_, **__: model


def _load_model(base: BaseModel, plan: Plan, settings: Settings, ranks: Ranks) -> tuple[Any, Any]:
    """The base, with its vLLM (`model.vllm_engine`) unless that comes by itself, and the tokenizer."""
    fast_language_model = import_unsloth(base.config().get("model_type", ""))
    import torch
    import vllm
    from transformers import AutoConfig

    with refusing_bad_files(base):
        AutoConfig.from_pretrained(base.folder)
    ours = vllm_arguments(plan, settings, base.config()) | among_ranks(ranks.count)
    with variables_kept(), llm_built_with(ours, vllm):
        model, tokenizer = fast_language_model.from_pretrained(
            model_name=str(base.folder),
            max_seq_length=plan.max_model_len,
            dtype=getattr(torch, plan.dtype),
            load_in_4bit=plan.load_in_4bit,
            use_gradient_checkpointing=_checkpointing(plan),
            random_state=settings.seed,
            **(WITHOUT_VLLM if plan.dequantizes else _with_vllm(plan, settings)),
        )
    return model, tokenizer


def _with_vllm(plan: Plan, settings: Settings) -> dict[str, Any]:
    """For a base that is vLLM's too."""
    return {
        "fast_inference": True,
        "max_lora_rank": settings.lora_rank,
        "gpu_memory_utilization": SHARE_FOR_UNSLOTHS_GUESS,
        "compilation_config": compilation(plan),
        "max_num_seqs": plan.max_num_seqs,
        "max_num_batched_tokens": plan.max_num_batched_tokens,
    }


def _checkpointing(plan: Plan) -> Any:
    """Unsloth's own recomputation keeps activations in host memory."""
    return "unsloth" if plan.gradient_checkpointing else False


def _add_lora(model: Any, plan: Plan, settings: Settings, start: Path | None) -> Any:
    """The model with its LoRA, patched for training by Unsloth."""
    from unsloth import FastLanguageModel

    from grpo_job.engines.rollouts.weight_sync import lora_layers
    from grpo_job.engines.trainer.adapter import start_from

    model = FastLanguageModel.get_peft_model(
        model,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.lora_target_modules),
        use_gradient_checkpointing=_checkpointing(plan),
        random_state=settings.lora_seed,
    )
    for layer in lora_layers(model):
        # PEFT would make an fp32 copy of each input, which autocast turns back into 16 bits: the same numbers, slower.
        layer.cast_input_dtype_enabled = False
    start_from(model, start)
    return model


def pieces(plan: Plan) -> dict[str, Any]:
    """Into how many pieces Unsloth's loss cuts a micro-batch, and the logits of a row.

    With training graphs a micro-batch is one piece; otherwise Unsloth cuts it by free memory, see cuda_graphs.py. The
    loss takes `unsloth_grpo_mini_batch` as the number of pieces (of ceil(rows / it) rows), whatever its name says.
    """
    whole = {"unsloth_grpo_mini_batch": 1} if plan.training_graphs else {}
    # At most a piece of logits per row: short rows go together, see `score_by_tokens`.
    return {**whole, "unsloth_logit_chunk_multiplier": -(-plan.row_tokens // LOGIT_CHUNK) if plan.chunked_logits else 1}


def with_trl_defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, and TRL's default for each accepted option that they leave out.

    Unsloth's GRPOConfig has other defaults (loss, beta, truncated completions), and takes `epsilon_high` from the paper
    of the loss if it is not set.
    """
    left_out = options().keys() - arguments.keys() - OWNED.keys() - NOT_PASSED
    high = arguments.get("epsilon_high")
    return {
        **{name: options()[name]["default"] for name in left_out},
        **arguments,
        "epsilon_high": arguments.get("epsilon", options()["epsilon"]["default"]) if high is None else high,
        "torch_empty_cache_steps": None,  # every 250 steps otherwise
    }
