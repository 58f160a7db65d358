"""Looks at what a reward of the user's own is given: which value by which name, and whether it can grade every row.

What it pays is judged in `rewards.py`; here only what a signature leaves open, and what single rows hold.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grpo_job.preflight.findings import Finding
from grpo_job.rewards import Reward, Tokens, as_trl_function, calling, custom
from grpo_job.rewards.batches import COLUMNS, batch_of, batch_of_rows, whole
from grpo_job.settings.schema import Settings

CHEAP = 0.005  # seconds a completion: a slower one may cost money for each call
FURTHER, SECONDS = 500, 2.0  # at most
SLOW = 5.0  # seconds for a generation, which takes some itself
_COMPLETION, _ANSWER = "\0completion", "\0answer"


def findings(
    reward: Reward, rows: Sequence[Mapping[str, Any]], seconds: float, settings: Settings, tokens: Tokens | None
) -> Iterator[Finding]:
    """`seconds`: what a completion takes. Raises `RewardFailed` for the first row that the reward cannot grade."""
    yield from of_time(reward, seconds, settings)
    if seconds < CHEAP:
        _grade_further(reward, rows, settings, tokens)
    yield from _of_names(reward, rows[:FURTHER], settings)
    yield from _of_examples(reward, rows[0], settings, tokens)


def _of_names(reward: Reward, rows: Sequence[Mapping[str, Any]], settings: Settings) -> Iterator[Finding]:
    """Which parameters were guessed, and which get a value of the job in place of the rows' own column."""
    if not calling.takes_batch(reward.function):
        yield from _guessed(reward, rows[0])
    for name, setting, column in (
        ("answer", "GRPO_ANSWER_COLUMN", settings.answer_column),
        ("question", "GRPO_PROMPT_COLUMN", settings.prompt_column),
    ):
        if column != name and calling.asks_for(reward.function, name) and any(_differs(row, name) for row in rows):
            said = f"{reward.name} asks for {name}, which is that of {setting}={column}, not the rows' column {name}"
            yield Finding("warned", "rewards", f"{said}: rename that column if it is meant")


def of_time(reward: Reward, seconds: float, settings: Settings) -> Iterator[Finding]:
    """What `seconds` a completion are for those of a generation, unless they are graded side by side."""
    number, limit = settings.completions_per_generation, settings.reward_timeout_seconds
    whole = seconds * number
    if whole < SLOW or calling.is_async(reward.function):
        return
    said = (
        f"{reward.name} takes about {whole:.0f} s for the {number} completions of a generation ({seconds:.2g} s each)"
    )
    if whole > limit:
        cure = "make it faster, such as with threads, or raise it"
        yield Finding("warned", "rewards", f"GRPO_REWARD_TIMEOUT_SECONDS={limit:g} would end the run: {said}: {cure}")
    else:
        yield Finding("warned", "rewards", f"{said}, which the estimated time leaves out")


def _guessed(reward: Reward, row: Mapping[str, Any]) -> Iterator[Finding]:
    batch = whole(batch_of({**row, "answer": _ANSWER, "answers": []}, [_COMPLETION]))
    positional, named = calling.columns_for(reward.function, {**batch, "completion_ids": [[]]}).of(0)
    by_value = {value: name for name, value in named.items() if isinstance(value, str) and name not in batch}
    completion, answer = by_value.get(_COMPLETION, "completion"), by_value.get(_ANSWER, "ground_truth")
    if not positional and answer != "ground_truth":
        said = f"{reward.name} gets the completion as {completion}, and the answer as {answer}"
        yield Finding("passed", "rewards", f"{said}, by their order")


def _differs(row: Mapping[str, Any], name: str) -> bool:
    own = json.loads(row.get(COLUMNS) or "{}")
    return name in own and str(own[name]) != str(row[name])


def _grade_further(
    reward: Reward, rows: Sequence[Mapping[str, Any]], settings: Settings, tokens: Tokens | None
) -> None:
    """Asks for the right answer of rows from all parts of them: their values may be of another kind."""
    function = as_trl_function(reward, settings.reward_timeout_seconds, tokens)
    size = settings.completions_per_generation
    began, rows = time.monotonic(), rows[:: -(-len(rows) // FURTHER) or 1]
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        function(**batch_of_rows(batch, [row["answer"] for row in batch]))
        if time.monotonic() - began > SECONDS:
            return


def _of_examples(
    reward: Reward, row: Mapping[str, Any], settings: Settings, tokens: Tokens | None
) -> Iterator[Finding]:
    """Each of its module's EXAMPLES with this row: what it pays must be what is expected."""
    function = as_trl_function(reward, settings.reward_timeout_seconds, tokens)
    for completion, expected in custom.examples(reward.function, reward.name, reward.module):
        [paid] = function(**batch_of(row, [completion]))
        if paid != expected and not (paid and expected and math.isclose(paid, expected, rel_tol=1e-6)):
            said = f"GRPO_REWARDS: {reward.name} pays {paid} for {completion!r}; EXAMPLES expect {expected}: fix one"
            yield Finding("failed", "examples of rewards", said)
