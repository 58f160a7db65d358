"""What to run on this GPU: a pure function from GPU, model shape and settings to a plan.

Every candidate (precision, weight sync, recomputation, micro-batch, standby) has a cost in seconds a step and in bytes;
the fastest that fits is chosen. A setting that the user gives is kept as it is.

The adapter reaches vLLM in one of three ways. `copy`: vLLM holds its own 16-bit weights, and the adapter is merged into
them in each step; of a 4-bit base they are what it dequantizes to. `merge`: vLLM and training share one set of weights;
the adapter is merged for the rollout and then removed. `lora`: vLLM's LoRA kernels over the weights that training
reads, the only way with a 4-bit base beside which 16 bits do not fit, and there three times as slow. In a `copy`,
`rollout_weights` says how: `folded` to nearest, `rounded` with a dither, or `lora`, not at all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import (
    Auto,
    Candidate,
    Decode,
    HandOver,
    RolloutWeights,
    Work,
    candidates,
    candidates_separate,
    rollout_weights,
    spreads,
    way_to_decode,
)
from grpo_job.planner.cuda_graphs import plan_replay, replayed
from grpo_job.planner.memory import Memory, Sizes, batched_tokens, capture_sizes, estimate, kv_needed
from grpo_job.planner.reasons import Choice, reasons, refusal, refuse_longer_than_window
from grpo_job.planner.shapes import GB, Gpu, ModelShape
from grpo_job.planner.wishes import Wishes

# The rest stays free for other processes and fragmentation: running out of memory in step 200 costs more.
USABLE_SHARE = 0.92
# 16 bits, and more sequences than a step needs, are chosen only up to this share.
ROOMY_SHARE = 0.85

# Sequences that evaluation decodes at once if memory allows: more of them answer more rows a second.
EVALUATION_SEQUENCES = 256


@dataclass(frozen=True)
class Plan:
    """What to run. `choices` holds the reason of each decision, `memory` the estimate that they rest on.

    Lengths are in tokens, `budget` is in bytes, and `gpu_memory_utilization` a share of the GPU's memory.
    """

    dtype: Literal["bfloat16", "float16"]
    load_in_4bit: bool
    weight_sync: HandOver
    rollout_weights: RolloutWeights
    gradient_checkpointing: bool
    standby: bool
    micro_batch_size: int
    micro_steps: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    row_tokens: int
    gpu_memory_utilization: float
    kv_cache_bytes: int
    capture_sizes: tuple[int, ...]
    decode: Decode
    training_graphs: bool
    memory: Memory
    budget: float
    choices: tuple[Choice, ...]
    tensor_parallel: int = 1
    base_shards: int = 1
    chunked_logits: bool = False

    @property
    def merged_rollout(self) -> bool:
        """Unsloth merges the adapter into weights that training shares (`UNSLOTH_VLLM_MERGED_ROLLOUT`)."""
        return self.weight_sync == "merge"

    @property
    def dequantizes(self) -> bool:
        """Training holds the base in 4 bits, and vLLM what that amounts to in 16."""
        return self.load_in_4bit and self.weight_sync == "copy"

    def lines(self) -> list[str]:
        """The plan for people: decisions with reasons, then the estimate."""
        decisions = [
            f"{choice.name}: {choice.value} ({'given' if choice.given else choice.reason})" for choice in self.choices
        ]
        return [*decisions, *self.memory.lines(), f"{'of':>14} {self.budget / GB:7.2f} GB usable"]

    def as_dict(self) -> dict[str, Any]:
        """JSON values for `environment.json`."""
        return {**asdict(self), "memory": {**asdict(self.memory), "total": self.memory.total}}


def plan(
    gpu: Gpu,
    model: ModelShape,
    work: Work,
    wishes: Wishes,
    *,
    most_bytes: float | None = None,
    separate_base: int = 0,
    copies_alone: bool = False,
) -> Plan:
    """The fastest way to run that fits. Raises `InvalidRun` with the numbers if none does.

    `most_bytes`: an upper limit below the memory of the GPU, after a larger plan failed. `separate_base`: 0 for an
    engine whose training and vLLM read the same weights; otherwise the number of processes on this machine, one per
    GPU, which may shard the base for training and spread one vLLM over their GPUs. `copies_alone`: of the former, only
    plans in which vLLM has 16-bit weights of its own (`copy`); the wishes must leave that open.
    """
    refuse_longer_than_window(model, work)
    given, share = asdict(wishes), None if wishes.gpu_memory_utilization == "auto" else wishes.gpu_memory_utilization
    sizes = Sizes(gpu, model, work, share)
    most = gpu.memory if most_bytes is None else most_bytes
    budget = min(gpu.memory * USABLE_SHARE, most)
    ways = _ways(model, work, given, separate_base, copies_alone=copies_alone)
    best = _fastest_that_fits(ways, sizes, given, most)
    if best is None:
        raise InvalidRun(refusal(ways, sizes, given, budget))
    best, replay = plan_replay(best, sizes, budget, wishes.training_graphs, separate_base)
    return _describe(best, sizes, given, budget, replay)


def _ways(
    model: ModelShape, work: Work, given: Mapping[str, Any], separate_base: int, *, copies_alone: bool
) -> list[Candidate]:
    in_4bit, recompute = given["load_in_4bit"], given["gradient_checkpointing"]
    if not separate_base:
        rollouts = given["rollout_weights"]
        ways = candidates(work, in_4bit, recompute, given["standby"], rollouts, quantized=model.quantized)
        return [one for one in ways if not copies_alone or (one.weight_sync == "copy" and not one.in_4bit)]
    over = spreads(model, separate_base)
    return list(candidates_separate(work, in_4bit, recompute, given["shard_base"], over, separate_base))


def _fastest_that_fits(ways: list[Candidate], sizes: Sizes, given: Mapping[str, Any], most: float) -> Candidate | None:
    one_row = sizes.work.max_seq_length * sizes.model.kv_bytes_per_token
    for candidate, by_choice in _in_order(ways, sizes.work, given["load_in_4bit"]):
        if by_choice and _is_cramped(candidate, sizes.work, given["standby"]):
            continue
        memory = estimate(candidate, sizes)
        limit = min(sizes.gpu.memory * (ROOMY_SHARE if by_choice else USABLE_SHARE), most)
        if memory.kv_cache >= one_row and memory.total <= limit:
            return candidate
    return None


def _in_order(ways: list[Candidate], work: Work, load_in_4bit: bool | Auto) -> list[tuple[Candidate, bool]]:
    """What to try, the best first, and whether it must leave room: not if no smaller candidate may follow."""
    ordered = sorted(ways, key=lambda one: (one.in_4bit, one.shards, one.chunked_logits, one.seconds(work)))
    smaller = load_in_4bit == "auto" and any(one.in_4bit for one in ways)
    by_choice = [(smaller and not one.in_4bit) or one.could_share for one in ordered]
    tries = list(zip(ordered, by_choice, strict=True))
    # A shard in 16 bits may be smaller than the whole base in 4.
    return [*tries, *((one, False) for one in ordered if one.shards > 1)]


def _is_cramped(candidate: Candidate, work: Work, standby: bool | Auto) -> bool:
    """Whether 16 bits need sleep mode or several waves of decoding; then 4 bits are faster."""
    return (candidate.standby and standby == "auto") or candidate.sequences < work.completions


def _estimate(candidate: Candidate, sizes: Sizes, replay: Choice) -> Memory:
    memory = estimate(candidate, sizes)
    return replayed(memory) if replay.value else memory


def _for_evaluation(candidate: Candidate, sizes: Sizes, budget: float, replay: Choice) -> Candidate:
    """The same with more sequences at once if they fit, beside a `replay` too: evaluation is faster with them."""
    gpu, model, work, share = sizes
    wished = EVALUATION_SEQUENCES
    while wished > candidate.sequences == work.completions:
        wider = replace(candidate, sequences=wished)
        memory = _estimate(wider, sizes, replay)
        enough = share is None or memory.kv_cache >= kv_needed(model, work, wished, candidate.tensor_parallel)
        if enough and memory.total <= min(gpu.memory * ROOMY_SHARE, budget):
            return wider
        wished //= 2
    return candidate


def _describe(chosen: Candidate, sizes: Sizes, given: Mapping[str, Any], budget: float, replay: Choice) -> Plan:
    gpu, _, work, share = sizes
    chosen = _for_evaluation(chosen, sizes, budget, replay)
    sequences = chosen.sequences * chosen.tensor_parallel
    memory = _estimate(chosen, sizes, replay)
    used = min(0.95, max(0.01, -(-100 * memory.vllm // gpu.memory) / 100)) if share is None else share
    decode = way_to_decode(work)
    return Plan(
        dtype=gpu.dtype,
        load_in_4bit=chosen.in_4bit,
        weight_sync=chosen.weight_sync,
        rollout_weights=rollout_weights(given["rollout_weights"], chosen.weight_sync),
        gradient_checkpointing=chosen.recompute,
        standby=chosen.standby,
        micro_batch_size=chosen.micro_batch,
        micro_steps=work.completions // chosen.micro_batch,
        max_num_seqs=sequences,
        max_num_batched_tokens=max(batched_tokens(gpu), sequences),
        max_model_len=work.max_seq_length,
        row_tokens=work.row_tokens,
        gpu_memory_utilization=used,
        kv_cache_bytes=int(memory.kv_cache),
        capture_sizes=capture_sizes(sequences),
        decode=decode,
        training_graphs=replay.value,
        memory=memory,
        budget=budget,
        choices=(*reasons(chosen, sizes, memory, used, decode, given, replay), replay),
        tensor_parallel=chosen.tensor_parallel,
        base_shards=chosen.shards,
        chunked_logits=chosen.chunked_logits,
    )
