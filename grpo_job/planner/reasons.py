"""Why a plan is as it is, or why there is none: text for users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import COMPILE_SECONDS, Candidate, Decode, Work, rollout_weights
from grpo_job.planner.memory import Memory, Sizes, capture_sizes, estimate, layer_activations_per_token
from grpo_job.planner.shapes import GB, Gpu, ModelShape


@dataclass(frozen=True)
class Choice:
    """One decision of the plan. `given`: whether the user made it."""

    name: str
    value: Any
    reason: str
    given: bool = False


def reasons(
    chosen: Candidate,
    sizes: Sizes,
    memory: Memory,
    share: float,
    decode: Decode,
    given: Mapping[str, Any],
    replay: Choice,
) -> tuple[Choice, ...]:
    """Each decision with its reason. `given`: the settings, with `auto` for what they leave open.

    `replay`: whether there are training graphs, for which a micro-batch may have been made smaller.
    """
    gpu, model, work, _ = sizes
    sequences = chosen.sequences * chosen.tensor_parallel
    several = (_why_spread(chosen, model), _why_shard(chosen, memory, given)) if chosen.separate_base else ()
    return (
        *several,
        Choice("arithmetic", gpu.dtype, f"compute capability {gpu.capability[0]}.{gpu.capability[1]}"),
        _why_precision(chosen, gpu, model, given),
        _why_hand_over(chosen, model, memory, given),
        _why_rollouts(chosen, given),
        _why_recompute(chosen, model, work, given),
        *([_why_chunked(model, work)] if chosen.chunked_logits else []),
        _why_standby(chosen, memory, given),
        _why_micro_batch(chosen, work, replay),
        _why_share(share, memory, sequences, work, given),
        Choice("capture_sizes", list(capture_sizes(sequences)), "powers of two up to all; padding is cheap in decode"),
        _why_decode(decode, work),
    )


def _was_given(given: Mapping[str, Any], name: str) -> bool:
    return bool(given[name] != "auto")


def _why_precision(chosen: Candidate, gpu: Gpu, model: ModelShape, given: Mapping[str, Any]) -> Choice:
    size = f"{model.weights(in_4bit=False) / GB:.1f} GB of 16-bit weights"
    fit = "do not fit with room" if chosen.in_4bit else "fit with room"
    reason = f"{size} {fit} in {gpu.memory / GB:.0f} GB"
    return Choice("load_in_4bit", chosen.in_4bit, reason, _was_given(given, "load_in_4bit"))


def _why_hand_over(chosen: Candidate, model: ModelShape, memory: Memory, given: Mapping[str, Any]) -> Choice:
    reasons = {
        "copy": f"a second set of weights fits ({memory.training_copy / GB:.1f} GB), so decode needs no LoRA kernels",
        "merge": "a second set of weights does not fit; merging the adapter costs a little time in each step",
        "lora": "a second set of weights does not fit, and vLLM's LoRA kernels need none",
    }
    of_4bit = {
        "copy": f"vLLM has room for the base in 16 bits ({memory.weights / GB:.1f} GB), from which it decodes fast",
        "lora": f"{_why_no_copy(model, given)}; vLLM's kernels read the 4-bit base and apply the adapter",
    }
    return Choice("weight_sync", chosen.weight_sync, (of_4bit if chosen.in_4bit else reasons)[chosen.weight_sync])


def _why_no_copy(model: ModelShape, given: Mapping[str, Any]) -> str:
    if model.quantized:
        return "the checkpoint has no 16-bit weights for vLLM"
    if given["rollout_weights"] == "lora" or given["standby"] is True:
        return "the settings leave no other way"
    return f"vLLM has no room for {model.weights(in_4bit=False) / GB:.1f} GB of 16-bit weights"


def _why_rollouts(chosen: Candidate, given: Mapping[str, Any]) -> Choice:
    wished = given["rollout_weights"]
    way = rollout_weights(wished, chosen.weight_sync)
    reasons = {
        "folded": "the update is rounded to the nearest 16-bit weights",
        "rounded": "16-bit weights keep the update on average, rounded with a fixed dither",
        "lora": "vLLM's LoRA kernels apply all of the update",
    }
    if wished not in ("auto", way):
        return Choice("rollout_weights", way, f"{wished} was given, but {_only_way(chosen)}")
    return Choice("rollout_weights", way, reasons[way], wished != "auto")


def _only_way(chosen: Candidate) -> str:
    if chosen.weight_sync == "merge":
        return "training and vLLM share one set of weights, into which Unsloth rounds to nearest"
    return "an adapter cannot be folded into a 4-bit base, which vLLM reads"


def _why_spread(chosen: Candidate, model: ModelShape) -> Choice:
    size = f"vLLM's {model.weights(in_4bit=False) / GB:.1f} GB"
    fit = (
        "fit on each GPU"
        if chosen.tensor_parallel == 1
        else f"do not fit on one GPU with training: {chosen.tensor_parallel} GPUs share them"
    )
    return Choice("tensor_parallel", chosen.tensor_parallel, f"{size} {fit}")


def _why_shard(chosen: Candidate, memory: Memory, given: Mapping[str, Any]) -> Choice:
    size = f"{memory.training_copy / GB:.1f} GB"
    if chosen.shards > 1:
        reason = f"{size} on each of {chosen.shards} GPUs that shard the base for training: it does not fit on one"
    else:
        reason = f"{size} of weights for training fit on each GPU"
    return Choice("shard_base", chosen.shards > 1, reason, _was_given(given, "shard_base"))


def _why_recompute(chosen: Candidate, model: ModelShape, work: Work, given: Mapping[str, Any]) -> Choice:
    kept = model.layers * layer_activations_per_token(chosen, model) * chosen.micro_batch * work.row_tokens / GB
    fit = "do not fit" if chosen.recompute else "fit"
    reason = f"{kept:.1f} GB of activations {fit}"
    return Choice("gradient_checkpointing", chosen.recompute, reason, _was_given(given, "gradient_checkpointing"))


def _why_chunked(model: ModelShape, work: Work) -> Choice:
    row = 4 * work.max_completion_length * model.vocabulary / GB
    return Choice(
        "chunked_logits", True, f"{row:.1f} GB of logits per completion do not fit; backward computes them again"
    )


def _why_standby(chosen: Candidate, memory: Memory, given: Mapping[str, Any]) -> Choice:
    cache = f"{memory.kv_cache / GB:.1f} GB of KV cache"
    reason = f"training needs the memory of {cache}" if chosen.standby else f"{cache} can stay during training"
    return Choice("standby", chosen.standby, reason, _was_given(given, "standby"))


def _why_micro_batch(chosen: Candidate, work: Work, replay: Choice) -> Choice:
    if chosen.micro_batch == min(work.micro_batch_limit, work.completions):
        return Choice("micro_batch_size", chosen.micro_batch, "fits as given", given=True)
    reason = f"a micro-batch of {work.micro_batch_limit} does not fit{' with its CUDA graphs' if replay.value else ''}"
    return Choice("micro_batch_size", chosen.micro_batch, reason)


def _why_share(share: float, memory: Memory, sequences: int, work: Work, given: Mapping[str, Any]) -> Choice:
    reason = (
        f"{memory.weights / GB:.1f} GB of weights, {memory.kv_cache / GB:.2f} GB of KV cache for {sequences} sequences "
        f"of {work.max_seq_length} tokens, {memory.vllm_working / GB:.1f} GB of working memory"
    )
    return Choice("gpu_memory_utilization", share, reason, _was_given(given, "gpu_memory_utilization"))


def _why_decode(decode: Decode, work: Work) -> Choice:
    tokens = work.max_steps * work.max_completion_length
    verb = "make up for" if decode == "compile" else "do not make up for"
    return Choice("decode", decode, f"{tokens} tokens of decode {verb} {COMPILE_SECONDS:.0f} s of compiling")


def refuse_longer_than_window(model: ModelShape, work: Work) -> None:
    """With a tiny Mistral whose window of 64 was shorter than its rows, vLLM 0.26 drew tokens that do not exist."""
    if model.window and model.all_windowed and model.window < work.max_seq_length:
        raise InvalidRun(
            f"GRPO_MAX_SEQ_LENGTH: {work.max_seq_length} was given, but every layer of this model sees only the last "
            f"{model.window} tokens (sliding_window), with which vLLM fails; allowed: up to {model.window}"
        )


def refusal(candidates: list[Candidate], sizes: Sizes, given: Mapping[str, Any], usable: float) -> str:
    """The numbers of the smallest candidate, and what to change."""
    gpu, model, work, share = sizes
    smallest = min((estimate(one, sizes) for one in candidates), key=lambda memory: memory.total)
    row = work.max_seq_length * model.kv_bytes_per_token
    if smallest.total <= usable and smallest.kv_cache < row:
        head = (
            f"GRPO_VLLM_GPU_MEMORY_UTILIZATION: {share} was given, which leaves {smallest.kv_cache / GB:.2f} GB for "
            f"the KV cache; one row of {work.max_seq_length} tokens needs {row / GB:.2f} GB"
        )
    else:
        head = (
            f"GRPO_MODEL: {model.parameters / GB:.1f} billion parameters need at least {smallest.total / GB:.1f} GB "
            f"with these settings; {gpu.name} has {gpu.memory / GB:.1f} GB, of which {usable / GB:.1f} GB are usable"
        )
    return "\n".join([head, *smallest.lines(), f"change: {'; '.join(_cures(given, work))}"])


def _cures(given: Mapping[str, Any], work: Work) -> list[str]:
    switched_off = ("load_in_4bit", "gradient_checkpointing", "standby", "shard_base")
    return [
        *(f"GRPO_{name.upper()}=auto" for name in switched_off if given[name] is False),
        *(["GRPO_VLLM_GPU_MEMORY_UTILIZATION=auto"] if _was_given(given, "gpu_memory_utilization") else []),
        f"a smaller GRPO_MAX_SEQ_LENGTH (now {work.max_seq_length}) or GRPO_MAX_COMPLETION_LENGTH "
        f"(now {work.max_completion_length})",
        "a smaller model",
        "a larger GPU",
    ]
