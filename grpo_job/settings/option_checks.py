"""Finds options of TRL's `GRPOConfig` that fail or do nothing together with the others. Pure."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from grpo_job.settings import schedules
from grpo_job.settings.primitives import allowed_words
from grpo_job.settings.schema import Settings, variable
from grpo_job.settings.trl_options import GENERATION_KEYS, JOB_DEFAULTS, generation_keys, options

CORRECTION = "vllm_importance_sampling_correction"
CLIPPED = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")  # losses with a clipped ratio
# An option -> the other option that it acts with, and the values under which it does.
ACTS_WITH: dict[str, tuple[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("epsilon", "delta"), ("loss_type", CLIPPED)),
    "epsilon_high": ("loss_type", (*CLIPPED, "cispo")),
    **{name: ("loss_type", ("sapo",)) for name in options() if name.startswith("sapo_")},
    **{name: ("loss_type", ("vespo",)) for name in options() if name.startswith("vespo_")},
    **{name: (CORRECTION, (True,)) for name in options() if name.startswith("vllm_importance_sampling_c")},
    "vllm_importance_sampling_mode": (CORRECTION, (True,)),
}
del ACTS_WITH[CORRECTION]

# What transformers' `apply_chat_template` gets from the job or from TRL.
OF_THE_JOB = (
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents", "max_length",
    "messages", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors", "tokenize",
    "tokenizer_kwargs", "tools", "truncation",
)  # fmt: skip
# Keys of sampling that have a setting of their own.
SAMPLING = {
    **{name: name for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")},
    "max_tokens": "max_completion_length",
    "max_new_tokens": "max_completion_length",
    "n": "num_generations",
}


def without_effect(settings: Settings) -> list[str]:
    """One message per option that is not at its default, and that the others leave without effect."""
    faults = []
    for name, (other, values) in ACTS_WITH.items():
        now = _value(settings, other)
        if _value(settings, name) != options()[name]["default"] and now not in values:
            allowed = ", ".join(str(value).lower() for value in values)
            faults.append(
                f"{variable(name)} has no effect with {variable(other)}={str(now).lower()}; "
                f"allowed: {variable(other)}={allowed}, or leave {variable(name)} out"
            )
    if not _value(settings, "use_bias_correction_kl") and not _value(settings, "beta"):
        faults.append("GRPO_USE_BIAS_CORRECTION_KL has no effect with GRPO_BETA=0; allowed: a GRPO_BETA above 0")
    return faults


def _value(settings: Settings, name: str) -> Any:
    default = JOB_DEFAULTS.get(name, options()[name]["default"])
    return settings.grpo_config.get(name, default)


def _cispo_has_a_cap(settings: Settings) -> str | None:
    high = settings.grpo_config.get("epsilon_high")
    if _value(settings, "loss_type") != "cispo" or (high is not None and high >= 1):
        return None
    given = "is not set" if high is None else f"is {high:g}"
    return (
        f"GRPO_LOSS_TYPE=cispo caps the ratio at GRPO_EPSILON_HIGH itself, which {given}: every weight would be cut "
        "below 1; allowed: a number from 1, such as 5"
    )


def _clips_in_order(settings: Settings) -> str | None:
    low = _value(settings, "vllm_importance_sampling_clip_min")
    high = _value(settings, "vllm_importance_sampling_clip_max")
    if low is not None and high is not None and low >= high:
        return (
            f"GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MIN={low:g} is not below "
            f"GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MAX={high:g}; allowed: a smaller minimum"
        )
    if low is None and high is None and "truncate" in (mode := _value(settings, "vllm_importance_sampling_mode")):
        return (
            f"GRPO_VLLM_IMPORTANCE_SAMPLING_MODE={mode} has neither GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MAX nor "
            "GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MIN to truncate at; allowed: set one of them"
        )
    return None


def _vespo_by_token(settings: Settings) -> str | None:
    mode = _value(settings, "vllm_importance_sampling_mode")
    if _value(settings, "loss_type") != "vespo" or not _value(settings, CORRECTION) or mode.startswith("token"):
        return None
    return (
        f"GRPO_LOSS_TYPE=vespo corrects by token, and GRPO_VLLM_IMPORTANCE_SAMPLING_MODE is {mode}; "
        "allowed: token_truncate, token_mask"
    )


def _options_of_template(settings: Settings) -> str | None:
    taken = sorted(set(settings.chat_options) & set(OF_THE_JOB))
    if not taken:
        return None
    return (
        f"GRPO_CHAT_TEMPLATE_KWARGS: the job sets {taken[0]!r} itself; allowed: what the model's chat template reads, "
        'such as {"enable_thinking": false}'
    )


def _keys_of_generation(settings: Settings) -> str | None:
    given = settings.grpo_config.get("generation_kwargs") or {}
    if unknown := sorted(set(given) - set(GENERATION_KEYS)):
        own = SAMPLING.get(unknown[0])
        return f"GRPO_GENERATION_KWARGS: the key {unknown[0]!r} was given; " + (
            f"use instead: {variable(own)}" if own else f"allowed: {', '.join(GENERATION_KEYS)}"
        )
    for name, value in given.items():
        try:
            generation_keys({name: value})
        except ValidationError:
            allowed = allowed_words(GENERATION_KEYS[name][0])
            return f"GRPO_GENERATION_KWARGS: {name}={value!r} was given; allowed: {allowed}"
    if (least := int(given.get("min_tokens", 0))) > settings.max_completion_length:
        return (
            f"GRPO_GENERATION_KWARGS: min_tokens={least} is above GRPO_MAX_COMPLETION_LENGTH="
            f"{settings.max_completion_length}; allowed: at most that"
        )
    return None


CHECKS: dict[Callable[[Settings], str | None], set[str]] = {
    _cispo_has_a_cap: {"loss_type", "epsilon_high"},
    _clips_in_order: {
        "vllm_importance_sampling_clip_min", "vllm_importance_sampling_clip_max", "vllm_importance_sampling_mode",
    },
    _vespo_by_token: {"loss_type", CORRECTION, "vllm_importance_sampling_mode"},
    **schedules.CHECKS,
    _options_of_template: {"chat_template_kwargs"},
    _keys_of_generation: {"generation_kwargs", "max_completion_length"},
}  # fmt: skip
