"""Every way to run a step, each with its cost in seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from grpo_job.planner.shapes import ModelShape

Auto = Literal["auto"]
HandOver = Literal["copy", "merge", "lora"]
Decode = Literal["graphs", "compile"]
RolloutWeights = Literal["folded", "rounded", "lora"]

AUTO_ROLLOUT_WEIGHTS: RolloutWeights = "rounded"

# What a choice costs in seconds per step; estimates for 3B on an H200, used only to order the candidates.
FOLD_SECONDS = 0.17
RECOMPUTE_SECONDS = 0.06
RECOMPUTE_SECONDS_PER_TOKEN = 1e-5
MICRO_STEP_SECONDS = 0.08
STANDBY_SECONDS = 0.30
WAVE_SECONDS = 0.50
QUANTIZED_DECODE_SECONDS = 1.4  # vLLM reads a 4-bit base, by bitsandbytes' kernels
TENSOR_PARALLEL_SECONDS = 0.30  # all-reduces of each layer and token, each time the number of GPUs doubles

# What compiling with Inductor takes on a cold start, and what its kernels save per decoded token over CUDA graphs.
COMPILE_SECONDS = 30.0
COMPILE_SAVES_SECONDS = 0.15e-3


@dataclass(frozen=True)
class Work:
    """The sizes of one step. Lengths are in tokens."""

    max_seq_length: int
    max_prompt_length: int
    max_completion_length: int
    completions: int
    micro_batch_limit: int
    lora_rank: int
    max_steps: int

    @property
    def row_tokens(self) -> int:
        """Tokens of the longest prompt with the longest completion."""
        return min(self.max_seq_length, self.max_prompt_length + self.max_completion_length)


@dataclass(frozen=True)
class Candidate:
    """One way to run a step.

    `micro_batch`: completions in one backward pass; `sequences`: completions that vLLM decodes at once.
    """

    in_4bit: bool
    weight_sync: HandOver
    recompute: bool
    micro_batch: int
    standby: bool
    sequences: int
    separate_base: bool = False
    """training has its own base, and vLLM another, always in 16 bits"""
    tensor_parallel: int = 1
    """GPUs over which vLLM's base is spread (tensor parallelism)"""
    shards: int = 1
    """GPUs that share the base for training (FSDP)"""
    chunked_logits: bool = False
    """logits of a few tokens at a time, computed again in backward"""

    @property
    def dequantizes(self) -> bool:
        """vLLM decodes from 16-bit weights, which are those that a 4-bit base amounts to"""
        return self.in_4bit and self.weight_sync == "copy"

    @property
    def could_share(self) -> bool:
        """vLLM could read training's 4-bit weights instead of 16-bit weights of its own"""
        return self.dequantizes and not self.separate_base

    def seconds(self, work: Work) -> float:
        """Seconds per step beyond the fastest candidate."""
        tokens = work.completions * work.row_tokens
        return (
            FOLD_SECONDS * (self.weight_sync == "merge")
            + QUANTIZED_DECODE_SECONDS * (self.in_4bit and not self.dequantizes)
            + (RECOMPUTE_SECONDS + RECOMPUTE_SECONDS_PER_TOKEN * tokens) * self.recompute
            + MICRO_STEP_SECONDS * (work.completions // self.micro_batch - 1)
            + STANDBY_SECONDS * self.standby
            + WAVE_SECONDS * (-(-work.completions // self.sequences) - 1)
            + TENSOR_PARALLEL_SECONDS * (self.tensor_parallel.bit_length() - 1)
        )


def candidates(
    work: Work,
    load_in_4bit: bool | Auto,
    recompute: bool | Auto,
    standby: bool | Auto,
    rollouts: RolloutWeights | Auto = "auto",
    *,
    quantized: bool = False,
) -> Iterator[Candidate]:
    """All combinations that the settings leave open. `quantized`: the checkpoint has no 16-bit weights for vLLM."""
    for in_4bit, checkpointing, asleep, micro, sequences, chunked in product(
        _open(load_in_4bit), _open(recompute), _open(standby), micro_batches(work), _waves(work.completions), BOTH
    ):
        # Sleep mode excludes separate weights for vLLM: Unsloth's allocator never puts weights to sleep.
        shared: HandOver = "lora" if in_4bit or rollouts == "lora" else "merge"
        alone = asleep or (in_4bit and (quantized or rollouts == "lora"))
        ways: tuple[HandOver, ...] = (shared,) if alone else ("copy", shared)
        for weight_sync in ways:
            yield Candidate(in_4bit, weight_sync, checkpointing, micro, asleep, sequences, chunked_logits=chunked)


def spreads(model: ModelShape, processes: int) -> list[int]:
    """Over how many GPUs one vLLM may be spread: divisors of the GPUs and of the attention heads."""
    return [number for number in range(1, processes + 1) if processes % number == 0 and model.heads % number == 0]


def candidates_separate(
    work: Work,
    load_in_4bit: bool | Auto,
    recompute: bool | Auto,
    shard: bool | Auto,
    spreads: Sequence[int],
    processes: int,
) -> Iterator[Candidate]:
    """The same for an engine with a separate base, in `processes` on one machine.

    `spreads`: over how many of their GPUs one vLLM may be spread.
    """
    for in_4bit, checkpointing, sharded, micro, sequences, tensor_parallel, chunked in product(
        _open(load_in_4bit),
        _open(recompute),
        _open(shard),
        micro_batches(work),
        _waves(work.completions),
        spreads,
        BOTH,
    ):
        if sharded and (in_4bit or processes == 1):
            continue  # bitsandbytes' weights cannot be sharded
        shards = processes if sharded else 1
        yield Candidate(in_4bit, "copy", checkpointing, micro, False, sequences, True, tensor_parallel, shards, chunked)


BOTH = (False, True)


def _open(value: bool | Auto) -> tuple[bool, ...]:
    return (False, True) if value == "auto" else (value,)


def micro_batches(work: Work) -> list[int]:
    """Divisors of the largest micro-batch that the user allows, the largest first: each splits it evenly."""
    limit = min(work.micro_batch_limit, work.completions)
    return [size for size in range(limit, 0, -1) if limit % size == 0]


def _waves(completions: int) -> list[int]:
    """How many completions vLLM may decode at once: all, half, a quarter, ... one."""
    return [-(-completions // 2**power) for power in range(completions.bit_length())]


def rollout_weights(wished: RolloutWeights | Auto, weight_sync: HandOver) -> RolloutWeights:
    """The weights that completions for training come from, as far as the hand-over leaves a choice."""
    only: dict[HandOver, RolloutWeights] = {"merge": "folded", "lora": "lora"}
    return only.get(weight_sync) or (AUTO_ROLLOUT_WEIGHTS if wished == "auto" else wished)


def way_to_decode(work: Work) -> Decode:
    """Inductor's kernels if the run is long enough to make up for compiling them."""
    saved = work.max_steps * work.max_completion_length * COMPILE_SAVES_SECONDS
    return "compile" if saved > COMPILE_SECONDS else "graphs"
