"""The arguments that vLLM is built with, whoever builds it."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from grpo_job.engines.patches.lora_kernels import compile_for_any_tokens
from grpo_job.inputs.base_model import BaseModel
from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import ModelShape
from grpo_job.settings.schema import Settings

# Tokens. At 320, one piece decodes 2 % faster with 4 sequences and 3 % with 64 (H200).
SHORT_ROW = 2048


def vllm_arguments(plan: Plan, settings: Settings, config: Mapping[str, Any]) -> dict[str, Any]:
    """What vLLM gets beyond, or against, what Unsloth would give it. `config`: the model's config.json."""
    return {
        "seed": settings.seed,
        "lora_target_modules": list(settings.lora_target_modules),  # else the logits take a LoRA of zeros, too
        "gpu_memory_utilization": plan.gpu_memory_utilization,
        # Given in bytes, vLLM measures nothing at start and takes no more than the rows need.
        "kv_cache_memory_bytes": plan.kv_cache_bytes,
        "max_model_len": plan.max_model_len,
        "max_num_seqs": plan.max_num_seqs,
        "max_num_batched_tokens": plan.max_num_batched_tokens,
        "attention_config": _attention(plan),
        # The planner takes no row that is longer than the window of all layers, and vLLM's kernels for it fail.
        "disable_sliding_window": ModelShape.from_config(config).all_windowed,
    }


def separate_arguments(plan: Plan, settings: Settings, config: Mapping[str, Any]) -> dict[str, Any]:
    """What vLLM gets that loads the base by itself: in 16 bits, whatever training holds."""
    from grpo_job.engines.rollouts.adapter_slot import lora_arguments

    return {
        **vllm_arguments(plan, settings, config),
        **lora_arguments(settings.lora_rank),
        "dtype": plan.dtype,
        "quantization": None,
        "compilation_config": compilation(plan),
    }


def separate_llm(base: BaseModel, plan: Plan, settings: Settings) -> Any:
    """A vLLM in this process that loads the base by itself."""
    import vllm

    with llm_built_with(separate_arguments(plan, settings, base.config()), vllm):
        # As TRL and Unsloth ask: the log-probabilities of what is drawn from, with temperature and top_p.
        return vllm.LLM(model=str(base.folder), logprobs_mode="processed_logprobs")


def among_ranks(count: int) -> dict[str, str]:
    """What vLLM gets in addition in one of `count` ranks: it then takes their process group as it finds it.

    Each rank has a whole vLLM of its own; all make its groups of one at the same time.
    """
    return {"distributed_executor_backend": "external_launcher"} if count > 1 else {}


def _attention(plan: Plan) -> dict[str, int]:
    """Short rows are read in one piece: splitting them, vLLM's default, adds a kernel a layer that joins the parts."""
    return {"flash_attn_max_num_splits_for_cuda_graph": 1} if plan.max_model_len <= SHORT_ROW else {}


def compilation(plan: Plan) -> dict[str, Any] | int:
    """vLLM's compilation_config: graphs of whole decode steps, with or without Inductor's kernels.

    Without Inductor, vLLM takes its own fused kernels, which decode as fast and start at once.
    The piecewise modes need Inductor: with mode NONE they silently become "no graphs at all".
    """
    if plan.decode == "compile" and plan.weight_sync != "copy":
        return 3  # the one value for which Unsloth mends vLLM's graph splitting for LoRA
    mode, graphs = {
        "graphs": ("NONE", "FULL_DECODE_ONLY"),
        "compile": ("VLLM_COMPILE", "FULL_AND_PIECEWISE"),
    }[plan.decode]
    return {"mode": mode, "cudagraph_mode": graphs, "cudagraph_capture_sizes": list(plan.capture_sizes)}


@contextmanager
def llm_built_with(ours: dict[str, Any], module: Any) -> Iterator[None]:
    """Unsloth and TRL build `module.LLM` from arguments of their own and pass few through; ours go over them."""
    import vllm.renderers.hf as renderer
    from vllm.model_executor.models import registry
    from vllm.model_executor.models.transformers import base as through_transformers

    original, pool = module.LLM, renderer.maybe_make_thread_pool
    decorate, elsewhere = through_transformers.support_torch_compile, registry._run_in_subprocess

    class WithOurArguments(original):  # type: ignore[misc, valid-type]
        def __init__(self, **theirs: Any) -> None:
            arguments = {**theirs, **ours}
            compile_for_any_tokens(arguments.get("max_lora_rank", 16))  # 16: vLLM's default
            super().__init__(**arguments)

    module.LLM = WithOurArguments
    # One thread asks, in tokens: no copies of the tokenizer for others. 1.5 s with Qwen's.
    renderer.maybe_make_thread_pool = lambda tokenizer, copies=1: tokenizer
    # What a model can do is asked of its class, which is loaded here anyway; another process imports all again: 13 s.
    registry._run_in_subprocess = lambda ask: ask()
    # Models of which vLLM has no code of its own: it would change the class of transformers that training uses.
    through_transformers.support_torch_compile = lambda **_: lambda cls: cls
    gc.freeze()  # vLLM collects garbage six times while it starts; what is imported is none
    try:
        yield
    finally:
        module.LLM, renderer.maybe_make_thread_pool = original, pool
        through_transformers.support_torch_compile, registry._run_in_subprocess = decorate, elsewhere
