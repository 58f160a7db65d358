"""The menu of rewards, and what makes of a reward a function that TRL's trainer calls.

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
from grpo_job.rewards import answers, custom, forms, length, tags, tutorial
from grpo_job.rewards.custom import RewardFunction
from grpo_job.rewards.trl_function import Reward, RewardFailed, Tokens, as_trl_function, as_trl_functions

__all__ = ["MENU", "Reward", "RewardFailed", "Tokens", "as_trl_function", "as_trl_functions", "load", "unknown"]

MENU: dict[str, RewardFunction] = {
    "correct": answers.correct,
    "correct_anywhere": answers.correct_anywhere,
    "format_tags": tags.format_tags,
    "tag_count": tags.tag_count,
    "think_format": forms.think_format,
    "choice": forms.choice,
    "exact": forms.exact,
    "one_of": forms.one_of,
    "yes_no": forms.yes_no,
    "soft_overlong": length.soft_overlong,
    "cosine_length": length.cosine_length,
    "repetition_penalty": length.repetition_penalty,
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
) -> list[Reward]:
    """The rewards that are asked for by name or path, in that order. Raises `InvalidRun` with every fault.

    `reward_path` is the folder in which the modules of dotted paths are looked for first; `options` the rewards' own
    parameters, by the reward's name.

    >>> [reward.name for reward in load([("correct", 2.0), ("format_tags", 0.5)])]
    ['correct', 'format_tags']
    """
    folder = Path(reward_path).expanduser() if reward_path else None
    rewards: list[Reward] = []
    options = options or {}
    faults = [] if names else ["no reward is named: a run without one learns nothing"]
    strangers = _fault_of_options(options, [custom.short_name(name) for name, _ in names])
    for name, weight in names:
        try:
            short = custom.short_name(name)
            function = _with_options(_function(name, folder), short, options.get(short, {}))
            reward = Reward(short, weight, function, name not in MENU)
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
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    accepted = f"{', '.join(MENU)}, a dotted path (module.function) or ./file.py::function"
    return f"there is no reward {name!r}{hint} Accepted: {accepted}"


def _function(name: str, folder: Path | None) -> RewardFunction:
    if "." in name:
        return custom.load(name, folder)
    if name not in MENU:
        raise InvalidRun(_not_on_the_menu(name))
    return MENU[name]
