"""What must be equal between attempts of one run, and what makes a finished run resume.

A finished run resumes if it gets more steps, other held-out rows, or more of the budget that ended it. Any other change
of the result makes it another run.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_job.settings.named_files import REWARD_FILES
from grpo_job.settings.schema import Settings, variable

# Settings that may differ between the attempts of one run although they change the result.
EXTENDABLE = (
    "max_steps", "num_train_epochs", "eval_rows", "eval_dataset", "eval_dataset_config", "eval_split", "eval_steps",
    "stop_at_accuracy",
)  # fmt: skip
# Settings that do not change any step, but can end training early.
LIMITS = {"max_hours", "max_cost", "price_per_hour"}


def identity(settings: Settings) -> dict[str, Any]:
    """The settings that all attempts of a run must share, as JSON values.

    Rows are set apart only with `eval_steps`: from none to some steps and back, the training rows would be others.
    """
    shared = {name: value for name, value in settings.telling_apart().items() if name not in EXTENDABLE}
    return {**shared, "eval_steps_rows": settings.eval_steps_rows if settings.eval_steps else 0}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differing values, as `name: old -> new`.

    >>> differences({"seed": 1, "rank": 8}, {"seed": 2, "rank": 8})
    ['seed: 1 -> 2']
    """
    return [
        f"{name}: {old.get(name)!r} -> {new.get(name)!r}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def asked_for(settings: Settings, *, stopped: bool) -> str:
    """A digest of the settings that determine the result; includes the limits if one `stopped` it early."""
    asked = settings.telling_apart()
    if stopped:
        asked |= settings.model_dump(mode="json", include=LIMITS)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def is_asked_for(
    found: Mapping[str, Any], settings: Settings, rows_digest: str | None, start_sha256: str | None
) -> bool:
    """Whether the result that the summary `found` describes is what these settings, rows and start adapter ask for.

    Rows and start adapter count where both sides know them.
    """
    pairs = ((found.get("training_rows"), rows_digest), (found.get("start_adapter"), start_sha256))
    asked = asked_for(settings, stopped=bool(found.get("stopped")))
    return bool(found.get("asked_for") == asked) and all(one == other for one, other in pairs if one and other)


def is_merged(found: Mapping[str, Any], settings: Settings) -> bool:
    """Whether the result has the merged model that is asked for now, if one is."""
    made: Mapping[str, Any] = found.get("merged") or {}
    asked = settings.publish_merged_dtype
    return not settings.publish_merged or bool(made and asked in ("model", made["dtype"]))


def another_run(settings: Settings, step: int, differing: Sequence[str], *, has_result: bool) -> str | None:
    """Why a run cannot go on from a checkpoint with `differences`; None if it can.

    Without a result, the files of rewards may differ: one of them may have failed.
    """
    if all(each.startswith(f"{REWARD_FILES}:") for each in differing) and not (differing and has_result):
        return None
    return (
        f"GRPO_RUN_ID={settings.name_of_run()}: its checkpoint at step {step} was made with other settings or rows "
        f"({'; '.join(differing)}); allowed: the same settings and training rows, another GRPO_RUN_ID, or "
        "GRPO_RESUME=never"
    )


def too_few_steps(settings: Settings, planned: int, done: int) -> str | None:
    """Why a run with `done` steps cannot have only `planned` ones, both with its warm start; None if it can."""
    if planned >= done:
        return None
    planned, done = planned - settings.warm_start_steps, done - settings.warm_start_steps
    name = variable("max_steps" if settings.max_steps > 0 else "num_train_epochs")
    return (
        f"GRPO_RUN_ID={settings.name_of_run()}: {name} asks for {planned} steps, but that run has already done {done}; "
        f"allowed: at least {done} steps, or another GRPO_RUN_ID"
    )
