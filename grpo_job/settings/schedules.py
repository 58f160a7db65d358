"""The learning-rate schedules: what each reads of GRPO_LR_SCHEDULER_KWARGS, and finds what it would fail on. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from grpo_job.settings.primitives import (
    FractionOrNone,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    allowed_words,
)
from grpo_job.settings.schema import Settings

_MIN_LR = ("num_cycles", "min_lr", "min_lr_rate")
# Schedule -> the keys of GRPO_LR_SCHEDULER_KWARGS that it reads, and those of which it needs one.
SCHEDULES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "constant": ((), ()),
    "constant_with_warmup": ((), ()),
    "cosine": (("num_cycles",), ()),
    "cosine_warmup_with_min_lr": ((*_MIN_LR, "warmup_lr_rate"), ("min_lr", "min_lr_rate")),
    "cosine_with_min_lr": (_MIN_LR, ("min_lr", "min_lr_rate")),
    "cosine_with_restarts": (("num_cycles",), ()),
    "inverse_sqrt": (("timescale",), ()),
    "linear": ((), ()),
    "polynomial": (("lr_end", "power"), ()),
    "warmup_stable_decay": (
        ("num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio", "num_cycles"),
        ("num_decay_steps",),
    ),
}
_Shape = Literal["linear", "cosine", "1-sqrt"]
KEYS: dict[str, Any] = {
    "decay_type": _Shape,
    "lr_end": NonNegative,
    "min_lr": NonNegative,
    "min_lr_rate": FractionOrNone,
    "min_lr_ratio": FractionOrNone,
    "num_cycles": Positive,
    "num_decay_steps": NonNegativeInt,
    "num_stable_steps": NonNegativeInt,
    "power": Positive,
    "timescale": PositiveInt,
    "warmup_lr_rate": FractionOrNone,
    "warmup_type": _Shape,
}
LR_END = 1e-7  # of transformers


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of GRPO_LR_SCHEDULER_KWARGS as transformers takes them: YAML reads `1e-5` as a text.

    >>> values({"min_lr": "1e-5"})
    {'min_lr': 1e-05}
    """
    return {name: TypeAdapter(KEYS[name]).validate_python(value) for name, value in given.items()}


def _keys(settings: Settings) -> str | None:
    given, head = _given(settings), _head(settings)
    known, needed = SCHEDULES[settings.lr_scheduler_type]
    if unknown := sorted(set(given) - set(known)):
        return f"{head} has no {unknown[0]!r}; allowed: {', '.join(known) or 'no keys'}"
    if needed and not set(needed) & set(given):
        example = 10 if needed[-1].endswith("_steps") else 0.1
        return f'{head} needs {" or ".join(needed)}; allowed: a JSON object such as {{"{needed[-1]}": {example}}}'
    if needed and set(needed) <= set(given) and len(needed) > 1:
        return f"{head} was given {' and '.join(needed)}, which set the same thing; allowed: only one of them"
    for name, value in given.items():
        try:
            values({name: value})
        except ValidationError:
            return f"GRPO_LR_SCHEDULER_KWARGS: {name}={value!r} was given; allowed: {allowed_words(KEYS[name])}"
    return None


def _ends_below_its_peak(settings: Settings) -> str | None:
    if _keys(settings) or settings.learning_rate == "auto":
        return None
    name = "lr_end" if settings.lr_scheduler_type == "polynomial" else "min_lr"
    end = values(_given(settings)).get(name, LR_END if name == "lr_end" else None)
    if end is None or end < settings.learning_rate:
        return None
    return (
        f"{_head(settings)} ends at {name}={end:g}, which is not below GRPO_LEARNING_RATE={settings.learning_rate:g}; "
        f"allowed: a smaller {name}"
    )


def _decay_fits_steps(settings: Settings) -> str | None:
    """Without room for it transformers starts in the middle of the decay."""
    given = {} if _keys(settings) else values(_given(settings))
    if "num_decay_steps" not in given or "num_stable_steps" in given or settings.max_steps == -1:
        return None
    warmup, decay = settings.warmup_steps, given["num_decay_steps"]
    steps = int(warmup) if warmup >= 1 else math.ceil(warmup * settings.max_steps)
    if steps + decay <= settings.max_steps:
        return None
    return (
        f"{_head(settings)} has num_decay_steps={decay} after {steps} warmup steps (GRPO_WARMUP_STEPS={warmup:g}), "
        f"more than GRPO_MAX_STEPS={settings.max_steps}; allowed: at most {settings.max_steps - steps} steps of decay"
    )


def _given(settings: Settings) -> Mapping[str, Any]:
    return settings.grpo_config.get("lr_scheduler_kwargs") or {}


def _head(settings: Settings) -> str:
    return f"GRPO_LR_SCHEDULER_KWARGS: GRPO_LR_SCHEDULER_TYPE={settings.lr_scheduler_type}"


CHECKS: dict[Callable[[Settings], str | None], set[str]] = {
    _keys: {"lr_scheduler_type", "lr_scheduler_kwargs"},
    _ends_below_its_peak: {"lr_scheduler_type", "lr_scheduler_kwargs", "learning_rate"},
    _decay_fits_steps: {"lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "max_steps"},
}
