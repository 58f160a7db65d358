"""Batches of completions, as the trainer hands them over and as rewards get them: a mapping of lists.

A row's own columns travel as the JSON text in its column `columns`, so that no type of theirs is changed on the way.
"""

import json
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from typing import Any

from grpo_job.rewards.texts import Answer, Prompt

Batch = Mapping[str, Any]
ANSWERS, COLUMNS = "answers", "columns"  # of a row: all its right answers, and its own columns as JSON
WORKED = "solution"  # of a row: what the warm start teaches; a column of the user's own may have this name


def batch_of(row: Mapping[str, Any], completions: Sequence[str]) -> dict[str, Any]:
    """Completions of one row, as the trainer hands them to rewards.

    >>> batch_of({"prompt": [], "answer": "4"}, ["4", "5"])
    {'prompts': [[], []], 'completions': ['4', '5'], 'answer': ['4', '4']}
    """
    columns = {name: [value] * len(completions) for name, value in row.items() if name != "prompt"}
    return {"prompts": [row.get("prompt")] * len(completions), "completions": list(completions), **columns}


def batch_of_rows(rows: Sequence[Mapping[str, Any]], completions: Sequence[str]) -> dict[str, Any]:
    """One completion of each row, as the trainer hands them to rewards.

    >>> batch_of_rows([{"prompt": [], "answer": "4"}, {"prompt": [], "answer": "7"}], ["4", "5"])["answer"]
    ['4', '7']
    """
    batches = [batch_of(row, [text]) for row, text in zip(rows, completions, strict=True)]
    return {name: [value for batch in batches for value in batch[name]] for name in batches[0]}


def copied(batch: Batch) -> dict[str, Any]:
    """With columns of its own, because a reward may change what it is given, and the next one gets the same."""
    return {name: _copied(name, values) for name, values in batch.items()}


def whole(batch: Batch, *, lists: bool = False) -> dict[str, Any]:
    """The batch with the rows' own columns as lists, and a list of answers where a row has several.

    With `lists` also of one answer, where the rows' column `answer` holds a list: TRL hands it over as it is.
    """
    hidden = (ANSWERS, COLUMNS, WORKED) if COLUMNS in batch else (ANSWERS,)
    given = {name: value for name, value in batch.items() if name not in hidden}
    rows = [json.loads(text) for text in batch.get(COLUMNS) or ()]
    own = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    if several := batch.get(ANSWERS):
        least = [1 if lists and isinstance(row.get("answer"), list) else 2 for row in rows or [{}] * len(several)]
        given["answer"] = [
            all_ if len(all_) >= number else one
            for all_, one, number in zip(several, given["answer"], least, strict=True)
        ]
    if "answer" in given:
        given["answer"] = [_answer(each) for each in given["answer"]]
    if "prompts" in given:
        given["prompts"] = [Prompt(each) if isinstance(each, list) else each for each in given["prompts"]]
    return {**own, **given}


def _answer(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_answer(each) for each in answer]
    return Answer(answer) if isinstance(answer, str) else answer


def _copied(name: str, values: Any) -> Any:
    copied = copy if name == "completion_ids" else deepcopy  # token ids are many, and flat
    return [copied(each) for each in values] if isinstance(values, list) else values
