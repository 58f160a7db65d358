"""What rewards pay for completions that somebody wrote: for the unit tests of a reward, without a run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import MENU, Reward, as_trl_function, custom, load

Chosen = str | Callable[..., Any]


def try_rewards(
    rewards: Chosen | Sequence[Chosen],
    rows: Sequence[Mapping[str, Any]],
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, float | None]]:
    """For each row what each reward pays, by the reward's name.

    A reward is a name of the menu, a path as in GRPO_REWARDS, or the function itself; `options` are as in
    GRPO_REWARD_OPTIONS. A row has a `completion` and what rewards ask for by name: `answer` (one or several),
    `prompt`, `question`, `completion_ids`, any column. Raises `InvalidRun` for a reward that does not exist, and
    `RewardFailed` for one that raises or returns no number, as a run does.

    >>> try_rewards(["correct", "format_tags"], [{"completion": "<answer>72</answer>", "answer": 72}])
    [{'correct': 1.0, 'format_tags': 0.0}]
    """
    if isinstance(rewards, str) or callable(rewards):
        rewards = [rewards]
    if lacking := [number for number, row in enumerate(rows, 1) if "completion" not in row]:
        raise InvalidRun(f"row {lacking[0]} has the columns {', '.join(rows[lacking[0] - 1])}; a completion is needed")
    named = load([(each, 1.0) for each in rewards if isinstance(each, str)], options=options) if _names(rewards) else []
    by_name = {reward.name: reward for reward in named}
    chosen = [by_name[custom.short_name(each)] if isinstance(each, str) else _of_function(each) for each in rewards]
    batch = _batch(rows)
    paid = {reward.name: as_trl_function(reward)(**batch) for reward in chosen} if rows else {}
    return [{name: scores[number] for name, scores in paid.items()} for number in range(len(rows))]


def _names(rewards: Sequence[Chosen]) -> bool:
    return any(isinstance(each, str) for each in rewards)


def _of_function(function: Callable[..., Any]) -> Reward:
    return Reward(getattr(function, "__name__", "reward"), 1.0, function, own=function not in MENU.values())


def _batch(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The rows as a trainer hands them to rewards: one list a column."""
    names = dict.fromkeys(name for row in rows for name in row if name not in ("completion", "prompt"))
    prompts = [_messages(row.get("prompt", row.get("question", ""))) for row in rows]
    columns = {name: [row.get(name) for row in rows] for name in names}
    columns["answer"] = [_texts(row.get("answer", "")) for row in rows]
    columns["question"] = [
        row.get("question", prompt[-1]["content"]) for row, prompt in zip(rows, prompts, strict=True)
    ]
    return {**columns, "prompts": prompts, "completions": [row["completion"] for row in rows]}


def _messages(prompt: Any) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def _texts(answer: Any) -> Any:
    """Answers as rewards get them: texts."""
    if isinstance(answer, list | tuple):
        return [_texts(each) for each in answer]
    if isinstance(answer, bool):
        return str(answer).lower()
    return "" if answer is None else str(answer)
