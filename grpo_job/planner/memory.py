"""How much GPU memory a candidate needs."""

from dataclasses import dataclass, fields
from typing import NamedTuple

from grpo_job.planner.candidates import Candidate, Work
from grpo_job.planner.shapes import BYTES_16BIT, GB, Gpu, ModelShape

# A LoRA parameter in fp32, its gradient, two 8-bit Adam states with their block maxima, one temporary, vLLM's copy.
LORA_BYTES = 4 + 4 + 2.1 + 4 + BYTES_16BIT
# CUDA context, cuBLAS and NCCL workspaces, Triton modules: outside PyTorch's allocator, measured on H200.
CONTEXT_BYTES = 1.3 * GB
# PyTorch caches blocks of earlier shapes, and rows have many lengths.
ALLOCATOR_SLACK = 0.10

# Of a graph that folds: small temporaries, cuBLAS' workspace, and what the allocator rounds up.
FOLD_BYTES = 0.1 * GB

# Tokens whose logits exist at once where they are chunked, and the fp32 copies of them in backward.
LOGIT_CHUNK = 512
CHUNK_COPIES = 6

KV_BLOCK = 16
# Room above what the sequences need, for blocks that prefix caching has not freed yet.
KV_HEADROOM = 1.15


class Sizes(NamedTuple):
    """What a candidate must fit. `share`: of the GPU for vLLM; None gives vLLM what the sequences need."""

    gpu: Gpu
    model: ModelShape
    work: Work
    share: float | None


@dataclass(frozen=True)
class Memory:
    """The estimate, in bytes. With standby, `kv_cache` and `activations` do not exist at the same time."""

    weights: float
    """the base in vLLM; training reads the same tensors unless there is a copy"""
    training_copy: float
    """what training holds of the base in addition, if vLLM has its own weights"""
    fold: float
    """temporaries of the graph that folds the adapter into vLLM's weights"""
    kv_cache: float
    vllm_working: float
    """prefill activations, sampling buffers, graphs"""
    lora: float
    """adapter, gradients, optimizer"""
    activations: float
    logits: float
    overhead: float
    standby: bool
    replay: float = 0.0
    """a trial run of a shorter row, before its graphs are captured in addition to those of the longest"""

    @property
    def vllm(self) -> float:
        """Bytes that vLLM holds."""
        return self.weights + self.kv_cache + self.vllm_working

    @property
    def total(self) -> float:
        """Bytes at the peak."""
        training = self.activations + self.logits
        shared = max(self.kv_cache, training) if self.standby else self.kv_cache + training
        weights = self.weights + self.training_copy + self.fold + self.lora
        return weights + self.vllm_working + self.overhead + self.replay + shared

    def lines(self) -> list[str]:
        """One line per part, in GB, and the total."""
        parts = [(field.name, getattr(self, field.name)) for field in fields(self) if field.name != "standby"]
        return [f"{name.replace('_', ' '):>14} {size / GB:7.2f} GB" for name, size in (*parts, ("total", self.total))]


def estimate(candidate: Candidate, sizes: Sizes) -> Memory:
    """The memory of this candidate."""
    gpu, model, work, share = sizes
    weights = model.weights(in_4bit=candidate.in_4bit and not candidate.dequantizes) / candidate.tensor_parallel
    working = _vllm_working(model, gpu, candidate.sequences * candidate.tensor_parallel)
    needed = kv_needed(model, work, candidate.sequences, candidate.tensor_parallel)
    kv_cache = needed if share is None else max(0.0, share * gpu.memory - weights - working)
    activations = _activations(candidate, model, work)
    logits = _logits(candidate, model, work)
    return Memory(
        weights=weights,
        training_copy=_training_copy(candidate, model),
        fold=_fold(candidate, model),
        kv_cache=kv_cache,
        vllm_working=working,
        lora=model.lora_parameters(work.lora_rank) * LORA_BYTES,
        activations=activations,
        logits=logits,
        overhead=CONTEXT_BYTES + ALLOCATOR_SLACK * (activations + logits),
        standby=candidate.standby,
    )


def _training_copy(candidate: Candidate, model: ModelShape) -> float:
    if candidate.shards > 1:
        return _shared_base(candidate.shards, model)
    if candidate.separate_base or candidate.dequantizes:
        return model.weights(in_4bit=candidate.in_4bit)
    return model.linear_parameters * BYTES_16BIT if candidate.weight_sync == "copy" else 0.0


def _fold(candidate: Candidate, model: ModelShape) -> float:
    """fp32 copies of an attention and of an MLP weight: blocks of both sizes are used again by each layer."""
    if candidate.separate_base or candidate.dequantizes or candidate.weight_sync != "copy":
        return 0.0
    return 2 * BYTES_16BIT * model.hidden * (model.intermediate + model.query) + FOLD_BYTES


def _shared_base(shards: int, model: ModelShape) -> float:
    """One shard of the layers, two gathered layers, and all parameters outside of the layers."""
    layers = model.linear_parameters * BYTES_16BIT
    return layers / shards + 2 * layers / model.layers + model.other_parameters * BYTES_16BIT


def kv_needed(model: ModelShape, work: Work, sequences: int, tensor_parallel: int) -> float:
    """Bytes on each of `tensor_parallel` GPUs for all sequences; each head of keys and values is on at least one."""
    blocks = -(-work.max_seq_length // KV_BLOCK)
    here = KV_HEADROOM * sequences * blocks * KV_BLOCK * model.kv_bytes_per_token
    return here * tensor_parallel / min(tensor_parallel, model.key_value_heads)


def _vllm_working(model: ModelShape, gpu: Gpu, sequences: int) -> float:
    """Prefill of one batch of tokens, fp32 logits of all sequences three times over, and the graphs' pool."""
    prefill = batched_tokens(gpu) * BYTES_16BIT * (4 * model.hidden + 3 * model.intermediate)
    sampling = 3 * 4 * sequences * model.vocabulary
    graphs = 0.25 * GB + len(capture_sizes(sequences)) * 4 * model.hidden * model.layers * sequences
    return prefill + sampling + graphs


def _activations(candidate: Candidate, model: ModelShape, work: Work) -> float:
    """What backward needs: those of every layer; with recomputation, each layer's input and those of one layer."""
    tokens = candidate.micro_batch * work.row_tokens
    one_layer = layer_activations_per_token(candidate, model) * tokens
    if candidate.recompute:
        return one_layer + model.layers * tokens * model.hidden * BYTES_16BIT
    return model.layers * one_layer


def layer_activations_per_token(candidate: Candidate, model: ModelShape) -> int:
    """Bytes per layer, for Unsloth's layers or those of transformers."""
    return model.plain_layer_activations_per_token if candidate.separate_base else model.layer_activations_per_token


def _logits(candidate: Candidate, model: ModelShape, work: Work) -> float:
    """fp32 logits of each completion token for backward, and twice the gradient of one row; or those of one chunk.

    TRL's kernel always works in chunks (and holds less than this); what it is given beyond is left as slack.
    """
    if candidate.chunked_logits:
        return CHUNK_COPIES * 4 * LOGIT_CHUNK * model.vocabulary
    per_row = 4 * work.max_completion_length * model.vocabulary
    return per_row * (candidate.micro_batch + 2.5)


def batched_tokens(gpu: Gpu) -> int:
    """Tokens in one prefill batch: larger batches need more memory, smaller ones more forward passes."""
    return 8192 if gpu.memory >= 38 * GB else 4096 if gpu.memory >= 20 * GB else 2048


def capture_sizes(sequences: int) -> tuple[int, ...]:
    """Powers of two up to all sequences: decode reads the weights whatever the batch, so padding is cheap.

    >>> capture_sizes(12)
    (1, 2, 4, 8, 12)
    """
    powers = [2**power for power in range(sequences.bit_length()) if 2**power < sequences]
    return (*powers, sequences)
