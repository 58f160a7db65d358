"""One row as it was read -> what a run needs of it: prompt, answers, worked solution, and the row itself as JSON."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from grpo_job.inputs import row_values, solutions
from grpo_job.inputs.rendering import Message
from grpo_job.inputs.row_values import Unreadable
from grpo_job.outcomes import InvalidRun
from grpo_job.settings import example
from grpo_job.settings.schema import Settings

Row = dict[str, Any]

HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # one surrogate, as JSON can escape it


def row_of(item: Mapping[str, Any], place: str, settings: Settings, needs_gold: bool) -> Row:
    """The row at `place`, such as `row 3 of b.jsonl`. Raises `InvalidRun` for a cell that means nothing."""
    asked = _cell(item, "prompt", place, settings, lambda value: row_values.asked(value, settings.system_prompt))
    try:
        golds = _cell(item, "answer", place, settings, row_values.golds)
    except InvalidRun:  # a column of that name that nobody asks for may hold anything
        if needs_gold:
            raise
        golds = []
    prompt = row_values.with_example(asked.messages, example.given(settings.example))
    return {
        "prompt": prompt,
        "question": asked.question() if asked.messages else "",
        "answer": golds[0] if golds else "",
        "answers": golds,
        **({"solution": _solution(item, golds, prompt, settings)} if settings.warm_start_steps else {}),
        "columns": _columns(item, place),
    }


def _columns(item: Mapping[str, Any], place: str) -> str:
    """The whole row as JSON, alike for equal rows. Raises `InvalidRun` for a text that no tokenizer takes."""
    whole = json.dumps(item, default=_as_json, ensure_ascii=False, sort_keys=True)
    if half := HALF_CHARACTER.search(whole):
        before = whole[max(0, half.start() - 30) : half.start()]
        raise InvalidRun(
            f"GRPO_DATASET: {place} holds half of a character, {half[0]!a}, after {before!a}; "
            "allowed: texts that can be written as UTF-8"
        )
    return whole


def _cell(item: Mapping[str, Any], kind: str, place: str, settings: Settings, read: Callable[[Any], Any]) -> Any:
    column: str = getattr(settings, f"{kind}_column")
    try:
        return read(row_values.at(item, column))
    except Unreadable as error:
        allowed = {"prompt": "a text or a list of messages", "answer": "a text, a number, a boolean or a list of these"}
        raise InvalidRun(
            f"GRPO_{kind.upper()}_COLUMN: {column!r} was given; in {place} it holds {error}; allowed: "
            f"{allowed[kind]}, also inside another column (`outer.inner`). The columns are {', '.join(item)}"
        ) from error


def _solution(item: Mapping[str, Any], golds: Sequence[str], prompt: Sequence[Message], settings: Settings) -> str:
    """What the warm start learns to say for this row; empty where it has no worked solution."""
    told = row_values.at(item, settings.solution_column or settings.answer_column)
    if not golds or not isinstance(told, str) or (settings.solution_column is None and "####" not in told):
        return ""
    work = row_values.solution(told)
    return solutions.written(work, golds[0], prompt, dict(settings.rewards)) if work else ""


def _as_json(value: Any) -> Any:
    """A cell that JSON does not know: decimals as numbers, times as text, arrays as lists, anything else as null."""
    if isinstance(value, Decimal):
        return float(value)
    for method in ("isoformat", "tolist"):
        if convert := getattr(value, method, None):
            return convert()
    return None
