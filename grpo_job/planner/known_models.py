"""Shapes of models that are often tuned, for a plan where no config.json can be read."""

import re
from typing import Any

_COLUMNS = (
    "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "vocab_size", "tie_word_embeddings", "head_dim",
)  # fmt: skip
# From the models' config.json on the Hub; the name without owner and without -Instruct, -it, -Base.
_SHAPES: dict[str, tuple[Any, ...]] = {
    "smollm2-135m": ("llama", 576, 1536, 30, 9, 3, 49152, True, 64),
    "smollm2-360m": ("llama", 960, 2560, 32, 15, 5, 49152, True, 64),
    "smollm2-1.7b": ("llama", 2048, 8192, 24, 32, 32, 49152, True, 64),
    "qwen2.5-0.5b": ("qwen2", 896, 4864, 24, 14, 2, 151936, True, 64),
    "qwen2.5-1.5b": ("qwen2", 1536, 8960, 28, 12, 2, 151936, True, 128),
    "qwen2.5-3b": ("qwen2", 2048, 11008, 36, 16, 2, 151936, True, 128),
    "qwen2.5-7b": ("qwen2", 3584, 18944, 28, 28, 4, 152064, False, 128),
    "qwen2.5-14b": ("qwen2", 5120, 13824, 48, 40, 8, 152064, False, 128),
    "qwen2.5-32b": ("qwen2", 5120, 27648, 64, 40, 8, 152064, False, 128),
    "qwen3-0.6b": ("qwen3", 1024, 3072, 28, 16, 8, 151936, True, 128),
    "qwen3-1.7b": ("qwen3", 2048, 6144, 28, 16, 8, 151936, True, 128),
    "qwen3-4b": ("qwen3", 2560, 9728, 36, 32, 8, 151936, True, 128),
    "qwen3-8b": ("qwen3", 4096, 12288, 36, 32, 8, 151936, False, 128),
    "llama-3.2-1b": ("llama", 2048, 8192, 16, 32, 8, 128256, True, 64),
    "llama-3.2-3b": ("llama", 3072, 8192, 28, 24, 8, 128256, True, 128),
    "llama-3.1-8b": ("llama", 4096, 14336, 32, 32, 8, 128256, False, 128),
    "mistral-7b": ("mistral", 4096, 14336, 32, 32, 8, 32768, False, 128),
}
_VARIANTS = re.compile(r"(-(instruct|it|base|chat|bnb|unsloth|4bit|v\d[\d.]*|\d{4}))+$")


def config(name: str) -> dict[str, Any] | None:
    """What config.json says of a known model's shape; None for another.

    >>> config("unsloth/Qwen2.5-3B-Instruct")["num_hidden_layers"], config("me/other")
    (36, None)
    """
    plain = _VARIANTS.sub("", name.rpartition("/")[2].lower()).removeprefix("meta-")
    return dict(zip(_COLUMNS, _SHAPES[plain], strict=True)) if plain in _SHAPES else None
