"""The numbers of a GPU and a model that a plan is made from. Imports nothing heavy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from grpo_job.outcomes import InvalidRun

GB = 1e9

# Bytes of a base weight: NF4 with double quantization holds 4.127 bits; vLLM pads shards a little.
BYTES_4BIT = 0.53
BYTES_16BIT = 2


@dataclass(frozen=True)
class Gpu:
    """One GPU, by the name that the driver gives it. `memory` is its total in bytes."""

    name: str
    memory: float
    capability: tuple[int, int]

    @property
    def dtype(self) -> Literal["bfloat16", "float16"]:
        """bf16 needs Ampere (compute capability 8.0) or later."""
        return "bfloat16" if self.capability >= (8, 0) else "float16"


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a dense decoder that memory depends on; `query` and `key_value` are the widths of all heads."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    query: int
    key_value: int
    tied: bool
    attention_bias: bool
    heads: int = 1
    key_value_heads: int = 1
    window: int | None = None
    """tokens that a layer with a sliding window sees"""
    layers_differ: bool = False
    """some layers have a window, or another kind of attention, and others have not"""
    quantized: bool = False
    """the checkpoint itself is quantized"""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ModelShape":
        """Read a transformers `config.json` of Qwen2, Qwen3, Llama, Mistral and similar; `InvalidRun` for others.

        >>> ModelShape.from_config({
        ...     "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "model_type": "qwen2",
        ...     "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
        ...     "tie_word_embeddings": True}).parameters
        3085938688
        """
        text = config.get("text_config") or config
        _require_dense(text)
        said = {**assumed(text.get("model_type") or config.get("model_type")), **text}
        heads = int(said["num_attention_heads"])
        key_value_heads = int(said.get("num_key_value_heads") or heads)
        head = int(said.get("head_dim") or said["hidden_size"] // heads)
        return cls(
            vocabulary=int(text["vocab_size"]),
            hidden=int(text["hidden_size"]),
            intermediate=int(text["intermediate_size"]),
            layers=int(text["num_hidden_layers"]),
            query=heads * head,
            key_value=key_value_heads * head,
            tied=bool(config.get("tie_word_embeddings", said.get("tie_word_embeddings", False))),
            attention_bias=bool(said.get("attention_bias", said.get("model_type") == "qwen2")),
            heads=heads,
            key_value_heads=key_value_heads,
            window=said.get("sliding_window") if said.get("use_sliding_window", True) else None,
            layers_differ=len(set(said.get("layer_types") or ())) > 1,
            quantized=bool(config.get("quantization_config")),
        )

    @property
    def all_windowed(self) -> bool:
        """Whether every layer has the sliding window."""
        return bool(self.window) and not self.layers_differ

    @property
    def linear_parameters(self) -> int:
        """Weights of the seven projections of all layers: what a 4-bit base quantizes and a LoRA adapts."""
        attention = self.hidden * (2 * self.query + 2 * self.key_value)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def other_parameters(self) -> int:
        """Embeddings, head, norms and biases: always in 16 bits."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        bias = self.query + 2 * self.key_value if self.attention_bias else 0
        return embeddings + self.layers * (2 * self.hidden + bias) + self.hidden

    @property
    def parameters(self) -> int:
        """Number of weights of the base."""
        return self.linear_parameters + self.other_parameters

    def weights(self, *, in_4bit: bool) -> float:
        """Bytes of the weights."""
        each = BYTES_4BIT if in_4bit else BYTES_16BIT
        return self.linear_parameters * each + self.other_parameters * BYTES_16BIT

    def lora_parameters(self, rank: int) -> int:
        """Parameters of LoRAs on all seven projections: `rank` times inputs and outputs (arXiv:2106.09685)."""
        attention = 4 * self.hidden + 2 * self.query + 2 * self.key_value
        return rank * self.layers * (attention + 3 * (self.hidden + self.intermediate))

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the keys and values of one token in all layers, in 16 bits."""
        return 2 * self.key_value * self.layers * BYTES_16BIT

    @property
    def layer_activations_per_token(self) -> int:
        """Bytes one layer keeps for backward: norm and projection inputs, q, k, v, attention output, gate, up."""
        return BYTES_16BIT * (4 * self.hidden + 2 * self.query + 2 * self.key_value + 2 * self.intermediate)

    @property
    def plain_layer_activations_per_token(self) -> int:
        """The same for the layers of transformers with a LoRA.

        fp32 norm inputs; a copy of its input for each LoRA; keys and values of each query head; gate, its SiLU, up.
        """
        norms = 2 * 4 * self.hidden
        loras = BYTES_16BIT * (5 * self.hidden + self.query + self.intermediate)
        return norms + loras + BYTES_16BIT * (4 * self.query + 3 * self.intermediate)


@cache
def _silent_configs() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("silent_configs.json").read_text())
    return loaded


def assumed(model_type: str | None) -> dict[str, Any]:
    """What transformers assumes where a config.json of this type is silent, if it is not the usual.

    Configs are written without what is the default of their class: those of Gemma do not say that embeddings are tied.

    >>> assumed("gemma2")["tie_word_embeddings"], assumed("llama")
    (True, {})
    """
    return _silent_configs().get(model_type or "", {})


def _require_dense(text: Mapping[str, Any]) -> None:
    needed = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    missing = [name for name in needed if not text.get(name)]
    if missing:
        raise InvalidRun(
            f"GRPO_MODEL: its config.json has no {', '.join(missing)}; allowed: dense decoders such as Qwen2, Qwen3, "
            "Llama and Mistral"
        )
    experts = next((name for name in ("num_experts", "num_local_experts", "n_routed_experts") if text.get(name)), None)
    if experts:
        raise InvalidRun(
            f"GRPO_MODEL: its config.json has {experts}={text[experts]}: a mixture of experts; allowed: dense "
            "decoders such as Qwen2, Qwen3, Llama and Mistral"
        )
