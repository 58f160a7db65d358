"""Warns about settings that have no effect with the other settings as they are.

Warnings only, for a file of settings may serve several runs. Options of TRL that do nothing with the others are
refused in `settings/option_checks.py`, for they decide what is learned.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from grpo_job.preflight.findings import Finding
from grpo_job.settings.global_batch import steps_per_buffer
from grpo_job.settings.option_checks import CLIPPED
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings, variable

WITH_BETAS = ("adamw", "ademamix", "lion")  # parts of the names of optimizers that read Adam's decays
ADDRESS_OF_IMAGES = "0.0.0.0"  # which they set for every run
ONE_UPDATE = (
    "where each generation feeds one optimizer step, because the ratio that it bounds is 1: it acts with a "
    "GRPO_NUM_ITERATIONS or GRPO_STEPS_PER_GENERATION that gives several"
)


class Rule(NamedTuple):
    """These fields act where `acts`; `unless` continues "has no effect ..."."""

    fields: tuple[str, ...]
    acts: Callable[[Settings], bool]
    unless: str


RULES = (
    Rule(("eval_steps_rows",), lambda s: s.eval_steps is not None, "without GRPO_EVAL_STEPS"),
    Rule(
        ("warm_start_learning_rate", "solution_column"),
        lambda s: s.warm_start_steps > 0,
        "without GRPO_WARM_START_STEPS",
    ),
    Rule(
        ("adam_beta1", "adam_beta2"),
        lambda s: any(name in s.optim for name in WITH_BETAS),
        "with this GRPO_OPTIM, which has no such decay",
    ),
    Rule(("warmup_steps",), lambda s: s.lr_scheduler_type != "constant", "with GRPO_LR_SCHEDULER_TYPE=constant"),
    Rule(("publish_if", "publish_seconds"), lambda s: bool(s.publish_to), "without GRPO_PUBLISH_TO"),
    Rule(
        ("publish_private",),
        lambda s: any(place.startswith("hf://") for place in s.publish_to),
        "without an hf:// address in GRPO_PUBLISH_TO",
    ),
    Rule(
        ("metrics_address",),
        lambda s: s.metrics_port is not None or s.metrics_address == ADDRESS_OF_IMAGES,
        "without GRPO_METRICS_PORT",
    ),
    Rule(("publish_merged_dtype",), lambda s: s.publish_merged, "without GRPO_PUBLISH_MERGED"),
    Rule(
        ("health_steps", "health_groups", "health_gradient_factor", "health_entropy_share", "health_max_kl"),
        lambda s: s.health != "off",
        "with GRPO_HEALTH=off",
    ),
    Rule(
        ("health_max_kl",),
        lambda s: s.health == "off" or bool(s.grpo_config.get("beta")),
        "without a GRPO_BETA above 0, for no divergence is measured",
    ),
    Rule(
        ("epsilon", "epsilon_high", "delta"),
        lambda s: steps_per_buffer(s) > 1 or s.grpo_config.get("loss_type", "dapo") not in CLIPPED,
        ONE_UPDATE,
    ),
)


def findings(settings: Settings) -> Iterator[Finding]:
    """One warning per setting that differs from the recipe's and does nothing."""
    recipe = resolve({"GRPO_RECIPE": settings.recipe}).settings
    for rule in RULES:
        for name in rule.fields if not rule.acts(settings) else ():
            if _value(settings, name) != _value(recipe, name):
                yield Finding("warned", "settings", f"{variable(name)} has no effect {rule.unless}")


def _value(settings: Settings, name: str) -> Any:
    return getattr(settings, name) if name in Settings.model_fields else settings.grpo_config.get(name)
