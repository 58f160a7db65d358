"""The menu of rewards, and how those of a run are loaded by name or path.

A reward judges one completion: `def name(completion, answer, **columns) -> float | None`, where None means that it
cannot be graded; or a batch, with TRL's own signature `def name(completions, **kwargs)`. It gets by name what it asks
for: any column of the row, `prompt`, `question`, `completion_ids` (see `calling.py`). Add one by writing the function
and naming it in `MENU`; one that lives outside this package is chosen by its dotted path (`my_module.my_reward`) or
its file (`./my_rewards.py::my_reward`, see `custom.py`).

A reward that raises, hangs or returns no number stops the run. It never counts as a wrong answer, for a run would
learn from that.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import custom, tutorial
from grpo_job.rewards.answers import correct, correct_anywhere
from grpo_job.rewards.asking import (
    Reward,
    RewardFailed,
    Tokens,
    as_trl_function,
    as_trl_functions,
    in_batches,
    opened,
)
from grpo_job.rewards.custom import RewardFunction, short_name
from grpo_job.rewards.forms import choice, exact, one_of, think_format, yes_no
from grpo_job.rewards.judging import judge
from grpo_job.rewards.length import cosine_length, repetition_penalty, soft_overlong
from grpo_job.rewards.tags import format_tags, tag_count

__all__ = [
    "MENU", "Reward", "RewardFailed", "Tokens", "as_trl_function", "as_trl_functions", "choice", "correct",
    "correct_anywhere", "cosine_length", "exact", "format_tags", "in_batches", "judge", "load", "one_of", "opened",
    "repetition_penalty", "soft_overlong", "tag_count", "think_format", "unknown", "yes_no",
]  # fmt: skip

MENU: dict[str, RewardFunction] = {
    "correct": correct,
    "correct_anywhere": correct_anywhere,
    "format_tags": format_tags,
    "tag_count": tag_count,
    "think_format": think_format,
    "choice": choice,
    "exact": exact,
    "one_of": one_of,
    "yes_no": yes_no,
    "soft_overlong": soft_overlong,
    "cosine_length": cosine_length,
    "repetition_penalty": repetition_penalty,
    "judge": judge,
    # the reference run's, see tutorial.py
    "xmlcount": tutorial.xmlcount,
    "soft_format": tutorial.soft_format,
    "strict_format": tutorial.strict_format,
    "int": tutorial.int_answer,
    "correctness": tutorial.correctness,
}


def load(
    names: Sequence[tuple[str, float]],
    reward_path: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    measure: str = "",
) -> list[Reward]:
    """The rewards that are asked for by name or path, in that order. Raises `InvalidRun` with every fault.

    `reward_path` is the folder in which the modules of dotted paths are looked for first; `options` the rewards' own
    parameters, by the reward's name; those of `measure`, which is loaded elsewhere, are no fault.

    >>> [reward.name for reward in load([("correct", 2.0), ("format_tags", 0.5)])]
    ['correct', 'format_tags']
    """
    folder = Path(reward_path).expanduser() if reward_path else None
    rewards: list[Reward] = []
    options = options or {}
    faults = [] if names else ["no reward is named: a run without one learns nothing"]
    strangers = _fault_of_options(options, [short_name(name) for name, _ in [*names, (measure, 0.0)] if name])
    for name, weight in names:
        try:
            short = short_name(name)
            function = _with_options(_function(name, folder), short, options.get(short, {}))
            module = custom.module_of(name, folder) if name not in MENU else ""
            reward = Reward(short, weight, function, name not in MENU, module=module)
        except InvalidRun as refusal:
            faults.extend(refusal.faults)
            continue
        if any(reward.name == other.name for other in rewards):
            faults.append(f"two rewards are named {reward.name!r}, so their metrics could not be told apart")
        rewards.append(reward)
    if faults or strangers:
        raise InvalidRun(*map(_fault, faults), *strangers)
    return rewards


def _fault_of_options(options: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [
        f"GRPO_REWARD_OPTIONS: {name!r} was given; allowed: the names of GRPO_REWARDS ({', '.join(names)}), each with "
        'a JSON object, such as {"brief": {"longest": 200}}'
        for name, value in options.items()
        if name not in names or not isinstance(value, dict)
    ]


def _with_options(function: RewardFunction, name: str, options: Any) -> RewardFunction:
    """What is no object is told by `_fault_of_options`."""
    return custom.with_options(function, name, options) if isinstance(options, dict) else function


def unknown(names: Iterable[str]) -> list[str]:
    """A fault for each name that is not on the menu. Dotted paths are left to `load`, for to import them may be heavy.

    >>> unknown(["correct", "my_rewards.brief"])
    []
    """
    return [_fault(_not_on_the_menu(name)) for name in names if "." not in name and name not in MENU]


def _fault(sentence: str) -> str:
    return f"GRPO_REWARDS: {sentence}"


def _not_on_the_menu(name: str) -> str:
    nearest = difflib.get_close_matches(name, MENU, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    accepted = f"{', '.join(MENU)}, a dotted path (module.function) or ./file.py::function"
    return f"there is no reward {name!r}{hint} Accepted: {accepted}"


def _function(name: str, folder: Path | None) -> RewardFunction:
    if "." in name:
        return custom.load(name, folder)
    if name not in MENU:
        raise InvalidRun(_not_on_the_menu(name))
    return MENU[name]
