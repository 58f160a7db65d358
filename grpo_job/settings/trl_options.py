"""The options of the locked TRL's `GRPOConfig` as settings, without importing TRL.

`trl_options.json` is generated (`python -m tools.list_trl_options`). This file adds what TRL's annotations lack: the
allowed values of strings, and the ranges of numbers. `refused_options.py` has the options that the job controls.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from grpo_job.settings.primitives import (
    Allowed,
    Bool,
    Fraction,
    FractionOrNone,
    Integer,
    JsonObject,
    NonNegative,
    NonNegativeInt,
    Number,
    Numbers,
    Positive,
    PositiveInt,
    Text,
    Words,
    allowed_words,
)
from grpo_job.settings.refused_options import OWNED as OWNED

# Values that TRL 1.15 and transformers 5.17 accept for a `str` option.
WORDS: dict[str, tuple[str, ...]] = {
    "importance_sampling_level": ("token", "sequence"),
    "loss_type": ("grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "scale_rewards": ("group", "batch", "none"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
}
# Schedules that need the trainer's own evaluation, and optimizers of packages that are not installed.
NOT_OFFERED = (
    "greedy", "reduce_lr_on_plateau",
    "adalomo", "adamw_anyprecision", "adamw_torch_4bit", "adamw_torch_8bit", "adamw_torch_npu_fused",
    "adamw_torch_xla", "apollo_adamw", "apollo_adamw_layerwise", "galore_adafactor", "galore_adafactor_layerwise",
    "galore_adamw", "galore_adamw_8bit", "galore_adamw_8bit_layerwise", "galore_adamw_layerwise", "grokadamw", "lomo",
    "schedule_free_adamw", "schedule_free_radam", "schedule_free_sgd", "stable_adamw",
)  # fmt: skip
# Optimizers of bitsandbytes, which needs a GPU; AdamW in fewer bits is adamw_torch on a CPU.
BITSANDBYTES_ADAM = ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit")
BITSANDBYTES = (
    *BITSANDBYTES_ADAM, "ademamix", "ademamix_8bit", "lion_32bit", "lion_8bit", "paged_ademamix_32bit",
    "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit", "rmsprop_bnb", "rmsprop_bnb_32bit",
    "rmsprop_bnb_8bit",
)  # fmt: skip

RANGES: dict[str, Any] = {
    "adam_epsilon": Positive,
    "beta": NonNegative,
    "delta": Annotated[float, Field(gt=1, allow_inf_nan=False), Allowed("a number above 1, where the ratio begins")],
    "entropy_coef": NonNegative,
    "epsilon": Positive,
    "epsilon_high": Positive,
    "min_p": FractionOrNone,
    "off_policy_mask_threshold": NonNegative,
    "pad_to_multiple_of": PositiveInt,
    "repetition_penalty": Positive,
    "sapo_temperature_neg": Positive,
    "sapo_temperature_pos": Positive,
    "top_entropy_quantile": FractionOrNone,
    "top_k": NonNegativeInt,
    "top_p": Fraction,
    "vllm_importance_sampling_clip_max": Positive,
    "vllm_importance_sampling_clip_min": NonNegative,
}

_Penalty = Annotated[float, Field(ge=-2, le=2), Allowed("a number from -2 to 2")]
_Bias = Annotated[
    dict[int, Annotated[float, Field(ge=-100, le=100)]],
    Allowed('numbers from -100 to 100 by token id, such as {"7": 2}'),
]
# Keys of GRPO_GENERATION_KWARGS, by vLLM's names: their values, and what transformers calls them on a CPU, if it can.
GENERATION_KEYS: dict[str, tuple[Any, str | None]] = {
    "allowed_token_ids": (Annotated[list[int], Field(min_length=1), Allowed("a list of token ids")], None),
    "frequency_penalty": (_Penalty, None),
    "logit_bias": (_Bias, None),
    "min_tokens": (NonNegativeInt, "min_new_tokens"),
    "presence_penalty": (_Penalty, None),
}

# The job's defaults where they are not TRL's; the same on every engine.
JOB_DEFAULTS = {
    # Rollouts come from the weights that learn, folded into those of vLLM.
    "vllm_importance_sampling_correction": False,
}

# Options that only act where vLLM generates.
VLLM_ONLY = (
    "vllm_importance_sampling_clip_max", "vllm_importance_sampling_clip_min", "vllm_importance_sampling_correction",
    "vllm_importance_sampling_mode",
)  # fmt: skip

KINDS: dict[str, Any] = {
    "bool": Bool,
    "int": Integer,
    "float": Number,
    "str": Text,
    "list": Words,
    "floats": Numbers,
    "json": JsonObject,
}


@cache
def options() -> dict[str, dict[str, Any]]:
    """Option name -> {"kind", "optional", "default", "choices"}, as in the locked TRL."""
    loaded: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("trl_options.json").read_text())
    return loaded


def choices(name: str) -> tuple[str, ...]:
    """The allowed values of option `name`; empty if it is not a choice."""
    words = WORDS.get(name) or options()[name]["choices"] or ()
    return tuple(word for word in words if word not in NOT_OFFERED)


def parse(name: str, text: Any) -> Any:
    """The value of option `name` from `text`. Raises pydantic's ValidationError."""
    if options()[name]["optional"] and text == "none":
        return None
    return TypeAdapter(_kind(name)).validate_python(text)


def generation_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of GRPO_GENERATION_KWARGS as vLLM takes them. Raises pydantic's ValidationError.

    >>> generation_keys({"logit_bias": {"7": 2}})
    {'logit_bias': {7: 2.0}}
    """
    return {name: TypeAdapter(GENERATION_KEYS[name][0]).validate_python(value) for name, value in given.items()}


def without_vllm(given: Mapping[str, Any]) -> list[str]:
    """Which of these GRPOConfig options do nothing where transformers generates, with the reason."""
    vllm = "acts on vLLM's rollouts, and on a CPU transformers generates; allowed here: leave it out"
    faults = [f"GRPO_{name.upper()} {vllm}" for name in VLLM_ONLY if name in given]
    known = ", ".join(name for name, (_, theirs) in GENERATION_KEYS.items() if theirs)
    for name in given.get("generation_kwargs") or {}:
        if not GENERATION_KEYS[name][1]:
            faults.append(f"GRPO_GENERATION_KWARGS: the key {name!r} was given; allowed on a CPU: {known}")
    return faults


def allowed(name: str) -> str:
    """The allowed values of option `name`, for messages."""
    return allowed_words(_kind(name)) + (", or none" if options()[name]["optional"] else "")


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of option `name`, with its default."""
    kinds = [TypeAdapter(_kind(name)).json_schema(), *([{"type": "null"}] if options()[name]["optional"] else [])]
    if options()[name]["kind"] == "json":
        kinds.append({"type": "object"})
    return {"anyOf": kinds, "default": options()[name]["default"]}


def _kind(name: str) -> Any:
    words = choices(name)
    if words:
        return Annotated[Literal[words], Allowed(", ".join(words))]
    return RANGES.get(name) or KINDS[options()[name]["kind"]]
