"""The peak learning rate of `GRPO_LEARNING_RATE=auto`: smaller for wider models. Pure.

The rate is 3e-4 × 576 / hidden size of the model, at least 2e-5 and at most 4e-4, to two digits. It was measured at
135M parameters only; for other sizes it rests on what others published:

- SmolLM2-135M (hidden size 576), 100 steps of two-digit sums, 8 prompts × 8 completions: 1e-4 gave 60 % right, 2e-4
  77 %, 4e-4 81 %, 8e-4 78 %; 250 steps of 128 completions at 3e-4: 94 % (`benchmarks/LEARNING.md`).
- The best rate of a LoRA falls with the hidden size (Thinking Machines, "LoRA Without Regret", 2025).
- verl's published GRPO run of a 3B model (hidden size 2048) with a LoRA used 3e-5; the rule gives 8.4e-5.
"""

from collections.abc import Mapping
from typing import Any, Literal

MEASURED_RATE, MEASURED_HIDDEN_SIZE = 3e-4, 576
LEAST, MOST = 2e-5, 4e-4


def peak(asked: float | Literal["auto"], config: Mapping[str, Any]) -> float:
    """The rate that was `asked` for, or the one for the model of this config.json.

    >>> [peak("auto", {"hidden_size": size}) for size in (128, 576, 2048, 3584, 8192)]
    [0.0004, 0.0003, 8.4e-05, 4.8e-05, 2.1e-05]
    >>> peak(1e-5, {"hidden_size": 576})
    1e-05
    """
    if asked != "auto":
        return asked
    rate = MEASURED_RATE * MEASURED_HIDDEN_SIZE / hidden_size(config)
    return float(f"{min(MOST, max(LEAST, rate)):.2g}")


def hidden_size(config: Mapping[str, Any]) -> int:
    """Of the language model, which a multimodal config.json has as `text_config`."""
    return int((config.get("text_config") or config)["hidden_size"])


def reason(asked: float | Literal["auto"], config: Mapping[str, Any]) -> str:
    """The rate for people, with its arithmetic."""
    if asked != "auto":
        return f"{asked:g}, given"
    rule = f"{MEASURED_RATE:g} × {MEASURED_HIDDEN_SIZE} / hidden size {hidden_size(config)}"
    return f"{peak(asked, config):g}: auto is {rule}, from {LEAST:g} to {MOST:g} (measured at 135M parameters only)"
