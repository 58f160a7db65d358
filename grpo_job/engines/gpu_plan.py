"""What to run on this GPU: a pure function from GPU, model shape and settings to a plan.

Every candidate (precision, adapter hand-over, recomputation, micro-batch, standby) is priced in
seconds a step and in bytes; the fastest that fits wins. A setting that was given is not a
candidate any more, it stands. Nothing here touches a GPU or imports torch.

The adapter reaches vLLM in one of three ways. `copy`: vLLM holds 16-bit weights of its own and
the adapter is folded into them each step. `fold`: vLLM and training share one set of weights,
the adapter is folded in for the rollout and taken out again. `lora`: vLLM's LoRA kernels, the
only way over a 4-bit base, and the slowest in decode.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any, Literal

from grpo_job.failures import Refused

Auto = Literal["auto"]
HandOver = Literal["copy", "fold", "lora"]
Decode = Literal["graphs", "compile"]

GB = 1e9

# Bytes of a base weight: NF4 with double quantization holds 4.127 bits; vLLM pads shards a little.
BYTES_4BIT = 0.53
BYTES_16BIT = 2

# A LoRA parameter in fp32, its gradient, two 8-bit Adam states with their block maxima, one temporary.
LORA_BYTES = 4 + 4 + 2.1 + 4

# The rest stays free for other processes and for fragmentation: running out in step 200 costs more than it gives.
USABLE_SHARE = 0.92
# 16 bits, and more sequences than a step has, are chosen where they leave more room than that.
ROOMY_SHARE = 0.85
# CUDA context, cuBLAS and NCCL workspaces, Triton modules: outside PyTorch's allocator, measured on H200.
CONTEXT_BYTES = 1.3 * GB
# PyTorch keeps blocks of past shapes; rows of every length pass through.
ALLOCATOR_SLACK = 0.10

# Sequences that evaluation wants at once where memory allows: decode costs hardly more at 64 than at 4.
EVALUATION_SEQUENCES = 64
KV_BLOCK = 16
# Room above what the sequences need, for blocks that prefix caching has not yet given up.
KV_HEADROOM = 1.15

# Seconds a step that a choice costs; estimates for 3B on an H200, used for the order alone.
FOLD_SECONDS = 0.17
RECOMPUTE_SECONDS = 0.06
RECOMPUTE_SECONDS_PER_TOKEN = 1e-5
MICRO_STEP_SECONDS = 0.08
STANDBY_SECONDS = 0.30
WAVE_SECONDS = 0.50

# What Inductor takes on a cold start, and what its kernels save a decoded token against graphs alone.
COMPILE_SECONDS = 30.0
COMPILE_SAVES_SECONDS = 0.15e-3


@dataclass(frozen=True)
class Gpu:
    """One GPU as the driver names it. `memory` is its total in bytes."""

    name: str
    memory: float
    capability: tuple[int, int]
    count: int = 1

    @property
    def dtype(self) -> Literal["bfloat16", "float16"]:
        """bf16 arithmetic came with Ampere (8.0)."""
        return "bfloat16" if self.capability >= (8, 0) else "float16"


@dataclass(frozen=True)
class ModelShape:
    """The numbers of a dense decoder that memory depends on."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    query: int
    key_value: int
    tied: bool
    attention_bias: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ModelShape":
        """Read a transformers `config.json` of Qwen2, Qwen3, Llama, Mistral and their kin.

        >>> ModelShape.from_config({
        ...     "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "model_type": "qwen2",
        ...     "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
        ...     "tie_word_embeddings": True}).parameters
        3085938688
        """
        text = config.get("text_config") or config
        _require_dense(text)
        heads = int(text["num_attention_heads"])
        head = int(text.get("head_dim") or text["hidden_size"] // heads)
        return cls(
            vocabulary=int(text["vocab_size"]),
            hidden=int(text["hidden_size"]),
            intermediate=int(text["intermediate_size"]),
            layers=int(text["num_hidden_layers"]),
            query=heads * head,
            key_value=int(text.get("num_key_value_heads") or heads) * head,
            tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
            attention_bias=bool(text.get("attention_bias", text.get("model_type") == "qwen2")),
        )

    @property
    def linear_parameters(self) -> int:
        """Weights of the seven projections of all layers: what a 4-bit base quantizes and a LoRA adapts."""
        attention = self.hidden * (2 * self.query + 2 * self.key_value)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def other_parameters(self) -> int:
        """Embeddings, head, norms and biases: 16-bit always."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        bias = self.query + 2 * self.key_value if self.attention_bias else 0
        return embeddings + self.layers * (2 * self.hidden + bias) + self.hidden

    @property
    def parameters(self) -> int:
        return self.linear_parameters + self.other_parameters

    def weights(self, *, in_4bit: bool) -> float:
        each = BYTES_4BIT if in_4bit else BYTES_16BIT
        return self.linear_parameters * each + self.other_parameters * BYTES_16BIT

    def lora_parameters(self, rank: int) -> int:
        """Parameters of LoRAs of `rank` on all seven projections."""
        attention = 4 * self.hidden + 2 * self.query + 2 * self.key_value
        return rank * self.layers * (attention + 3 * (self.hidden + self.intermediate))

    @property
    def kv_bytes_per_token(self) -> int:
        return 2 * self.key_value * self.layers * BYTES_16BIT

    @property
    def layer_activations_per_token(self) -> int:
        """Bytes one layer keeps for backward: norm and projection inputs, q, k, v, attention output, gate, up."""
        return BYTES_16BIT * (4 * self.hidden + 2 * self.query + 2 * self.key_value + 2 * self.intermediate)


def _require_dense(text: Mapping[str, Any]) -> None:
    needed = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    missing = [name for name in needed if not text.get(name)]
    if missing:
        raise Refused(
            f"GRPO_MODEL: its config.json has no {', '.join(missing)}; the GPU plan knows dense decoders such as "
            "Qwen2, Qwen3, Llama and Mistral. GRPO_ENGINE=trl does without a plan"
        )
    experts = next((name for name in ("num_experts", "num_local_experts", "n_routed_experts") if text.get(name)), None)
    if experts:
        raise Refused(
            f"GRPO_MODEL: its config.json has {experts}={text[experts]}: a mixture of experts. The GPU plan knows "
            "dense decoders such as Qwen2, Qwen3, Llama and Mistral"
        )


@dataclass(frozen=True)
class Memory:
    """The estimate, in bytes. `kv_cache` and `activations` do not overlap in time under standby."""

    weights: float
    """the base, as vLLM holds it; training reads the same tensors unless there is a copy"""
    training_copy: float
    """the adapted layers once more, where vLLM has weights of its own"""
    kv_cache: float
    vllm_working: float
    """prefill activations, sampling buffers, graphs"""
    lora: float
    """adapter, gradients, optimizer"""
    activations: float
    logits: float
    overhead: float
    standby: bool

    @property
    def vllm(self) -> float:
        return self.weights + self.kv_cache + self.vllm_working

    @property
    def total(self) -> float:
        training = self.activations + self.logits
        shared = max(self.kv_cache, training) if self.standby else self.kv_cache + training
        return self.weights + self.training_copy + self.vllm_working + self.lora + self.overhead + shared

    def lines(self) -> list[str]:
        """One line a part, in GB, and the total."""
        parts = [(field.name, getattr(self, field.name)) for field in fields(self) if field.name != "standby"]
        return [f"{name.replace('_', ' '):>14} {size / GB:7.2f} GB" for name, size in (*parts, ("total", self.total))]


@dataclass(frozen=True)
class Choice:
    """One decision of the plan. `given` says that the user made it."""

    name: str
    value: Any
    reason: str
    given: bool = False


@dataclass(frozen=True)
class Plan:
    """What to run. `choices` holds the reason of each decision, `memory` the estimate behind them."""

    dtype: Literal["bfloat16", "float16"]
    load_in_4bit: bool
    hand_over: HandOver
    gradient_checkpointing: bool
    standby: bool
    micro_batch_size: int
    micro_steps: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    gpu_memory_utilization: float
    kv_cache_bytes: int
    capture_sizes: tuple[int, ...]
    decode: Decode
    memory: Memory
    budget: float
    choices: tuple[Choice, ...]

    @property
    def merged_rollout(self) -> bool:
        """Unsloth folds the adapter into weights that training shares (`UNSLOTH_VLLM_MERGED_ROLLOUT`)."""
        return self.hand_over == "fold"

    @property
    def vllm_lora(self) -> bool:
        """vLLM must be built with LoRA support: its kernels serve the adapter, or Unsloth may fall back to them."""
        return self.hand_over != "copy"

    def lines(self) -> list[str]:
        """The plan for people: decisions with reasons, then the estimate."""
        decisions = [
            f"{choice.name}: {choice.value} ({'given' if choice.given else choice.reason})" for choice in self.choices
        ]
        return [*decisions, *self.memory.lines(), f"{'of':>14} {self.budget / GB:7.2f} GB usable"]

    def as_dict(self) -> dict[str, Any]:
        """JSON values for `environment.json`."""
        return {**asdict(self), "memory": {**asdict(self.memory), "total": self.memory.total}}


@dataclass(frozen=True)
class Work:
    """What one step must hold, in primitive numbers."""

    max_seq_length: int
    max_prompt_length: int
    max_completion_length: int
    completions: int
    micro_batch_limit: int
    lora_rank: int
    max_steps: int

    @property
    def row_tokens(self) -> int:
        """The longest prompt with the longest completion."""
        return min(self.max_seq_length, self.max_prompt_length + self.max_completion_length)


@dataclass(frozen=True)
class _Candidate:
    in_4bit: bool
    hand_over: HandOver
    recompute: bool
    micro_batch: int
    standby: bool
    sequences: int

    def seconds(self, work: Work) -> float:
        """What it costs a step beyond the fastest candidate."""
        tokens = work.completions * work.row_tokens
        return (
            FOLD_SECONDS * (self.hand_over == "fold")
            + (RECOMPUTE_SECONDS + RECOMPUTE_SECONDS_PER_TOKEN * tokens) * self.recompute
            + MICRO_STEP_SECONDS * (work.completions // self.micro_batch - 1)
            + STANDBY_SECONDS * self.standby
            + WAVE_SECONDS * (-(-work.completions // self.sequences) - 1)
        )


@dataclass(frozen=True)
class Within:
    """After memory ran out on the GPU of this name: the bytes that a plan may take, and the precision to keep."""

    gpu: str
    bytes: float
    load_in_4bit: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan(
    gpu: Gpu,
    model: ModelShape,
    *,
    max_seq_length: int,
    max_completion_length: int,
    completions_per_step: int,
    per_device_train_batch_size: int,
    lora_rank: int,
    max_steps: int,
    max_prompt_length: int | None = None,
    load_in_4bit: bool | Auto = "auto",
    gpu_memory_utilization: float | None = None,
    gradient_checkpointing: bool | Auto = "auto",
    standby: bool | Auto = "auto",
    most_bytes: float | None = None,
) -> Plan:
    """The fastest way to run that fits; `Refused` with the numbers where none does.

    `most_bytes`: less than the GPU has, where more was tried and failed.
    """
    prompt = max_seq_length - max_completion_length if max_prompt_length is None else max_prompt_length
    work = Work(
        max_seq_length, prompt, max_completion_length, completions_per_step, per_device_train_batch_size,
        lora_rank, max_steps,
    )  # fmt: skip
    given = {
        "load_in_4bit": load_in_4bit, "gradient_checkpointing": gradient_checkpointing, "standby": standby,
        "gpu_memory_utilization": "auto" if gpu_memory_utilization is None else gpu_memory_utilization,
    }  # fmt: skip
    most = gpu.memory if most_bytes is None else most_bytes
    budget = min(gpu.memory * USABLE_SHARE, most)
    best: _Candidate | None = None
    candidates = list(_candidates(work, load_in_4bit, gradient_checkpointing, standby))
    for candidate in sorted(candidates, key=lambda one: (one.in_4bit, one.seconds(work))):
        by_choice = load_in_4bit == "auto" and not candidate.in_4bit
        limit = min(gpu.memory * (ROOMY_SHARE if by_choice else USABLE_SHARE), most)
        estimate = _estimate(candidate, gpu, model, work, gpu_memory_utilization)
        if _fits(estimate, model, work, limit) and not (by_choice and _is_cramped(candidate, work, standby)):
            best = candidate
            break
    if best is None:
        raise Refused(_refusal(candidates, gpu, model, work, gpu_memory_utilization, given, budget))
    return _describe(best, gpu, model, work, gpu_memory_utilization, given, budget)


def _candidates(
    work: Work, load_in_4bit: bool | Auto, recompute: bool | Auto, standby: bool | Auto
) -> Iterator[_Candidate]:
    """All combinations that the given settings leave open."""
    for in_4bit, checkpointing, asleep, micro, sequences in product(
        _open(load_in_4bit), _open(recompute), _open(standby), _micro_batches(work), _waves(work.completions)
    ):
        # Sleep mode and weights of vLLM's own do not go together: Unsloth's allocator never puts weights to sleep.
        ways: tuple[HandOver, ...] = ("lora",) if in_4bit else ("fold",) if asleep else ("copy", "fold")
        for hand_over in ways:
            yield _Candidate(in_4bit, hand_over, checkpointing, micro, asleep, sequences)


def _open(value: bool | Auto) -> tuple[bool, ...]:
    return (False, True) if value == "auto" else (value,)


def _micro_batches(work: Work) -> list[int]:
    """Divisors of the micro-batch that the user allowed, the largest first: each splits it into whole parts."""
    limit = min(work.micro_batch_limit, work.completions)
    return [size for size in range(limit, 0, -1) if limit % size == 0]


def _waves(completions: int) -> list[int]:
    """How many completions vLLM may decode at once: all, half, a quarter, ... one."""
    return [-(-completions // 2**power) for power in range(completions.bit_length())]


def _fits(estimate: Memory, model: ModelShape, work: Work, limit: float) -> bool:
    one_row = work.max_seq_length * model.kv_bytes_per_token
    return estimate.kv_cache >= one_row and estimate.total <= limit


def _is_cramped(candidate: _Candidate, work: Work, standby: bool | Auto) -> bool:
    """16 bits are worth having while they cost neither sleep nor waves; beyond that 4 bits are faster."""
    return (candidate.standby and standby == "auto") or candidate.sequences < work.completions


def _estimate(candidate: _Candidate, gpu: Gpu, model: ModelShape, work: Work, share: float | None) -> Memory:
    weights = model.weights(in_4bit=candidate.in_4bit)
    working = _vllm_working(model, gpu, candidate.sequences)
    needed = _kv_needed(model, work, candidate.sequences)
    kv_cache = needed if share is None else max(0.0, share * gpu.memory - weights - working)
    activations = _activations(candidate, model, work)
    logits = _logits(candidate, model, work)
    return Memory(
        weights=weights,
        training_copy=model.linear_parameters * BYTES_16BIT if candidate.hand_over == "copy" else 0.0,
        kv_cache=kv_cache,
        vllm_working=working,
        lora=model.lora_parameters(work.lora_rank) * LORA_BYTES,
        activations=activations,
        logits=logits,
        overhead=CONTEXT_BYTES + ALLOCATOR_SLACK * (activations + logits),
        standby=candidate.standby,
    )


def _kv_needed(model: ModelShape, work: Work, sequences: int) -> float:
    blocks = -(-work.max_seq_length // KV_BLOCK)
    return KV_HEADROOM * sequences * blocks * KV_BLOCK * model.kv_bytes_per_token


def _vllm_working(model: ModelShape, gpu: Gpu, sequences: int) -> float:
    """Prefill of one batch of tokens, fp32 logits of all sequences three times over, and the graphs' pool."""
    prefill = _batched_tokens(gpu) * BYTES_16BIT * (4 * model.hidden + 3 * model.intermediate)
    sampling = 3 * 4 * sequences * model.vocabulary
    graphs = 0.25 * GB + len(_capture_sizes(sequences)) * 4 * model.hidden * model.layers * sequences
    return prefill + sampling + graphs


def _activations(candidate: _Candidate, model: ModelShape, work: Work) -> float:
    """What backward needs: every layer's, or each layer's input and one layer's with recomputation."""
    tokens = candidate.micro_batch * work.row_tokens
    one_layer = model.layer_activations_per_token * tokens
    if candidate.recompute:
        return one_layer + model.layers * tokens * model.hidden * BYTES_16BIT
    return model.layers * one_layer


def _logits(candidate: _Candidate, model: ModelShape, work: Work) -> float:
    """fp32 logits of each completion token are kept for backward; one row's gradient twice comes on top."""
    per_row = 4 * work.max_completion_length * model.vocabulary
    return per_row * (candidate.micro_batch + 2.5)


def _batched_tokens(gpu: Gpu) -> int:
    """Tokens of one prefill batch: larger ones need more memory, smaller ones more passes."""
    return 8192 if gpu.memory >= 38 * GB else 4096 if gpu.memory >= 20 * GB else 2048


def _capture_sizes(sequences: int) -> tuple[int, ...]:
    """Powers of two up to all sequences: decode reads the weights whatever the batch, so padding is cheap.

    >>> _capture_sizes(12)
    (1, 2, 4, 8, 12)
    """
    powers = [2**power for power in range(sequences.bit_length()) if 2**power < sequences]
    return (*powers, sequences)


def _for_evaluation(
    candidate: _Candidate, gpu: Gpu, model: ModelShape, work: Work, share: float | None, budget: float
) -> _Candidate:
    """The same with more sequences at once, which evaluation likes, where they fit too."""
    wished = EVALUATION_SEQUENCES
    while wished > candidate.sequences == work.completions:
        wider = replace(candidate, sequences=wished)
        estimate = _estimate(wider, gpu, model, work, share)
        enough = share is None or estimate.kv_cache >= _kv_needed(model, work, wished)
        if enough and estimate.total <= min(gpu.memory * ROOMY_SHARE, budget):
            return wider
        wished //= 2
    return candidate


def _decode(work: Work) -> Decode:
    saved = work.max_steps * work.max_completion_length * COMPILE_SAVES_SECONDS
    return "compile" if saved > COMPILE_SECONDS else "graphs"


def _describe(
    chosen: _Candidate,
    gpu: Gpu,
    model: ModelShape,
    work: Work,
    share: float | None,
    given: Mapping[str, Any],
    budget: float,
) -> Plan:
    chosen = _for_evaluation(chosen, gpu, model, work, share, budget)
    sequences = chosen.sequences
    memory = _estimate(chosen, gpu, model, work, share)
    used = min(0.95, max(0.01, -(-100 * memory.vllm // gpu.memory) / 100)) if share is None else share
    sizes, decode = _capture_sizes(sequences), _decode(work)
    return Plan(
        dtype=gpu.dtype,
        load_in_4bit=chosen.in_4bit,
        hand_over=chosen.hand_over,
        gradient_checkpointing=chosen.recompute,
        standby=chosen.standby,
        micro_batch_size=chosen.micro_batch,
        micro_steps=work.completions // chosen.micro_batch,
        max_num_seqs=sequences,
        max_num_batched_tokens=max(_batched_tokens(gpu), sequences),
        max_model_len=work.max_seq_length,
        gpu_memory_utilization=used,
        kv_cache_bytes=int(memory.kv_cache),
        capture_sizes=sizes,
        decode=decode,
        memory=memory,
        budget=budget,
        choices=(
            Choice("arithmetic", gpu.dtype, f"compute capability {gpu.capability[0]}.{gpu.capability[1]}"),
            _why_precision(chosen, gpu, model, given),
            _why_hand_over(chosen, memory),
            _why_recompute(chosen, model, work, given),
            _why_standby(chosen, memory, given),
            _why_micro_batch(chosen, work),
            _why_share(used, memory, sequences, work, given),
            Choice("capture_sizes", list(sizes), "powers of two up to all sequences; padding decode is cheap"),
            _why_decode(decode, work),
        ),
    )


def _was_given(given: Mapping[str, Any], name: str) -> bool:
    return bool(given[name] != "auto")


def _why_precision(chosen: _Candidate, gpu: Gpu, model: ModelShape, given: Mapping[str, Any]) -> Choice:
    size = f"{model.weights(in_4bit=False) / GB:.1f} GB of 16-bit weights"
    fit = "do not fit with room" if chosen.in_4bit else "fit with room"
    reason = f"{size} {fit} in {gpu.memory / GB:.0f} GB"
    return Choice("load_in_4bit", chosen.in_4bit, reason, _was_given(given, "load_in_4bit"))


def _why_hand_over(chosen: _Candidate, memory: Memory) -> Choice:
    reasons = {
        "copy": f"{memory.training_copy / GB:.1f} GB for a second set of weights is there; no LoRA kernels in decode",
        "fold": "memory is short for a second set of weights; folding costs a moment each step",
        "lora": "a 4-bit base cannot take the adapter in; vLLM's LoRA kernels serve it",
    }
    return Choice("hand_over", chosen.hand_over, reasons[chosen.hand_over])


def _why_recompute(chosen: _Candidate, model: ModelShape, work: Work, given: Mapping[str, Any]) -> Choice:
    kept = model.layers * model.layer_activations_per_token * chosen.micro_batch * work.row_tokens / GB
    fit = "do not fit" if chosen.recompute else "fit"
    reason = f"{kept:.1f} GB of activations {fit}"
    given_ = _was_given(given, "gradient_checkpointing")
    return Choice("gradient_checkpointing", chosen.recompute, reason, given_)


def _why_standby(chosen: _Candidate, memory: Memory, given: Mapping[str, Any]) -> Choice:
    cache = f"{memory.kv_cache / GB:.1f} GB of KV cache"
    reason = f"training needs the room of {cache}" if chosen.standby else f"{cache} may stay while training"
    return Choice("standby", chosen.standby, reason, _was_given(given, "standby"))


def _why_micro_batch(chosen: _Candidate, work: Work) -> Choice:
    if chosen.micro_batch == min(work.micro_batch_limit, work.completions):
        return Choice("micro_batch_size", chosen.micro_batch, "as given, it fits", given=True)
    return Choice("micro_batch_size", chosen.micro_batch, f"{work.micro_batch_limit} at once do not fit")


def _why_share(share: float, memory: Memory, sequences: int, work: Work, given: Mapping[str, Any]) -> Choice:
    reason = (
        f"{memory.weights / GB:.1f} GB of weights, {memory.kv_cache / GB:.2f} GB of KV cache for {sequences} sequences "
        f"of {work.max_seq_length} tokens, {memory.vllm_working / GB:.1f} GB to work in"
    )
    return Choice("gpu_memory_utilization", share, reason, _was_given(given, "gpu_memory_utilization"))


def _why_decode(decode: Decode, work: Work) -> Choice:
    tokens = work.max_steps * work.max_completion_length
    verb = "repay" if decode == "compile" else "do not repay"
    return Choice("decode", decode, f"{tokens} tokens of decode {verb} {COMPILE_SECONDS:.0f} s of compiling")


def _refusal(
    candidates: list[_Candidate],
    gpu: Gpu,
    model: ModelShape,
    work: Work,
    share: float | None,
    given: Mapping[str, Any],
    usable: float,
) -> str:
    """The smallest candidate's numbers, and what to change."""
    estimates = [_estimate(one, gpu, model, work, share) for one in candidates]
    smallest = min(estimates, key=lambda estimate: estimate.total)
    row = work.max_seq_length * model.kv_bytes_per_token
    if smallest.total <= usable and smallest.kv_cache < row:
        head = (
            f"GRPO_VLLM_GPU_MEMORY_UTILIZATION: {share} was given; that leaves {smallest.kv_cache / GB:.2f} GB for "
            f"the KV cache, one row of {work.max_seq_length} tokens needs {row / GB:.2f}"
        )
    else:
        head = (
            f"GRPO_MODEL: {model.parameters / GB:.1f} billion parameters need at least {smallest.total / GB:.1f} GB "
            f"with these settings; {gpu.name} has {gpu.memory / GB:.1f} GB, of which {usable / GB:.1f} are usable"
        )
    return "\n".join([head, *smallest.lines(), f"change: {'; '.join(_cures(given, work))}"])


def _cures(given: Mapping[str, Any], work: Work) -> list[str]:
    cures = {
        "load_in_4bit": ("GRPO_LOAD_IN_4BIT=auto", given["load_in_4bit"] is False),
        "gradient_checkpointing": ("GRPO_GRADIENT_CHECKPOINTING=auto", given["gradient_checkpointing"] is False),
        "standby": ("GRPO_STANDBY=auto", given["standby"] is False),
        "gpu_memory_utilization": (
            "GRPO_VLLM_GPU_MEMORY_UTILIZATION=auto",
            _was_given(given, "gpu_memory_utilization"),
        ),
    }
    return [
        *(text for text, helps in cures.values() if helps),
        f"a smaller GRPO_MAX_SEQ_LENGTH (now {work.max_seq_length}) or GRPO_MAX_COMPLETION_LENGTH "
        f"(now {work.max_completion_length})",
        "a smaller model",
        "a larger GPU",
    ]
