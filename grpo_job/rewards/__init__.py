"""The menu of rewards, and what makes of a reward a function that TRL's trainer calls.

A reward judges one completion: `def name(completion: str, answer: str) -> float | None`, where None means that
it cannot be graded. Add one by writing the function and naming it in `MENU`; one that lives outside this package
is chosen by its dotted path (`my_module.my_reward`, see `custom.py`).

A reward that raises, hangs or returns no number stops the run. It never counts as a wrong answer, for a run would
learn from that.
"""

import difflib
import math
import numbers
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grpo_job.outcomes import InvalidRun, Unexpected
from grpo_job.rewards import answers, custom, tags, tutorial
from grpo_job.rewards.custom import RewardFunction
from grpo_job.rewards.timeout import finishes

MENU: dict[str, RewardFunction] = {
    "correct": answers.correct,
    "correct_anywhere": answers.correct_anywhere,
    "format_tags": tags.format_tags,
    "tag_count": tags.tag_count,
    # the reference run's, see tutorial.py
    "xmlcount": tutorial.xmlcount,
    "soft_format": tutorial.soft_format,
    "strict_format": tutorial.strict_format,
    "int": tutorial.int_answer,
    "correctness": tutorial.correctness,
}

Completion = str | Sequence[Mapping[str, str]]  # plain text, or the chat messages that were generated
TrlFunction = Callable[..., list[float | None]]


class Reward(NamedTuple):
    """A reward of this run: its name (also in the metrics), what it weighs in the sum, and the function."""

    name: str
    weight: float
    function: RewardFunction


class RewardFailed(Unexpected):
    """A reward raised, hung, or returned something that is not a number."""


def load(names: Sequence[tuple[str, float]], reward_path: str | Path | None = None) -> list[Reward]:
    """The rewards that are asked for by name or dotted path, in that order. Raises `InvalidRun` with every fault.

    `reward_path` is the folder in which the modules of dotted paths are looked for first.

    >>> [reward.name for reward in load([("correct", 2.0), ("format_tags", 0.5)])]
    ['correct', 'format_tags']
    """
    folder = Path(reward_path).expanduser() if reward_path else None
    rewards: list[Reward] = []
    faults = [] if names else ["no reward is named: a run without one learns nothing"]
    for name, weight in names:
        try:
            reward = Reward(name.rpartition(".")[2], weight, _function(name, folder))
        except InvalidRun as refusal:
            faults.extend(refusal.faults)
            continue
        if any(reward.name == other.name for other in rewards):
            faults.append(f"two rewards are named {reward.name!r}, so their metrics could not be told apart")
        rewards.append(reward)
    if faults:
        raise InvalidRun(*map(_fault, faults))
    return rewards


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
    return f"there is no reward {name!r}{hint} Accepted: {', '.join(MENU)}, or a dotted path (module.function)"


def _function(name: str, folder: Path | None) -> RewardFunction:
    if "." in name:
        return custom.load(name, folder)
    if name not in MENU:
        raise InvalidRun(_not_on_the_menu(name))
    return MENU[name]


def as_trl_functions(rewards: Iterable[Reward], timeout_seconds: float) -> list[tuple[TrlFunction, float]]:
    """Each reward as the function that TRL calls, and its weight in the sum."""
    return [(as_trl_function(reward, timeout_seconds), reward.weight) for reward in rewards]


def as_trl_function(reward: Reward, timeout_seconds: float | None = None) -> TrlFunction:
    """The function that TRL calls with a batch. It needs a column `answer`, and ignores every other.

    A call that takes longer than `timeout_seconds` is cut and fails the run.

    >>> call = as_trl_function(Reward("correct", 2.0, answers.correct))
    >>> call(completions=[[{"role": "assistant", "content": "<answer>72</answer>"}], "72?"], answer=["72", "72"])
    [1.0, 0.0]
    """

    def trl_function(
        *, completions: Sequence[Completion], answer: Sequence[str], **_columns: object
    ) -> list[float | None]:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        return [
            _score(reward, _text(completion), gold, deadline)
            for completion, gold in zip(completions, answer, strict=True)
        ]

    trl_function.__name__ = trl_function.__qualname__ = reward.name  # TRL names its metrics after it
    return trl_function


def _text(completion: Completion) -> str:
    return completion if isinstance(completion, str) else completion[-1]["content"]


def _score(reward: Reward, completion: str, answer: str, deadline: float | None) -> float | None:
    returned: list[object] = []

    def grade() -> None:
        returned.append(reward.function(completion, answer))

    try:
        if deadline is None:
            grade()
        elif not finishes(grade, deadline - time.monotonic()):
            raise _failure(reward, "did not end in time", completion, answer)
    except (Exception, SystemExit) as error:  # a reward that exits must not end the run as if it were done
        if isinstance(error, RewardFailed):
            raise
        raise _failure(reward, f"raised {type(error).__name__}: {error}", completion, answer) from error
    return _checked(returned[0], reward, completion, answer)


def _checked(score: object, reward: Reward, completion: str, answer: str) -> float | None:
    """The score as TRL takes it: None, or a finite number (True is 1.0)."""
    if score is None:
        return None
    if not isinstance(score, numbers.Real) or not math.isfinite(score):
        problem = f"returned {_short(repr(score))}, which is neither a finite number nor None,"
        raise _failure(reward, problem, completion, answer)
    return float(score)


def _failure(reward: Reward, problem: str, completion: str, answer: str) -> RewardFailed:
    return RewardFailed(
        f"reward {reward.name!r} {problem} on the completion {_short(completion)!r} (answer {_short(answer)!r})"
    )


def _short(text: str, longest: int = 500) -> str:
    """The beginning and the end of a long text.

    >>> _short("abcdefghij", 4)
    'ab ... ij'
    """
    return text if len(text) <= longest else f"{text[: longest // 2]} ... {text[-longest // 2 :]}"
