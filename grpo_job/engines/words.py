"""Messages between ranks as JSON: bytes from another host may be wrong, but never execute anything.

Beside JSON's own types only the classes of KNOWN are built, paths and tuples. Imports no torch.
"""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from grpo_job.engines.ranks import Answer, Asked, Decision, Load, LoadAdapter, Process, TakeRows, Train
from grpo_job.evaluation.completion import Completion
from grpo_job.outcomes import Outcome, Unexpected
from grpo_job.planner.memory import Memory
from grpo_job.planner.plan import Plan
from grpo_job.planner.reasons import Choice

LARGEST_WORD = 1 << 20  # bytes of what goes through the store
LARGEST_VALUE = 1 << 31  # bytes of what all ranks share: the rows are in it
CLASSES: tuple[Any, ...] = (
    Answer, Asked, Choice, Completion, Decision, Load, LoadAdapter, Memory, Outcome, Path, Plan, Process, TakeRows,
    Train,
)  # fmt: skip
KNOWN: dict[str, Any] = {known.__name__: known for known in CLASSES} | {
    "tuple": lambda *items: items,
    "dict": lambda *items: dict(items),
}


class BadWord(Unexpected):
    """What came from another rank is none of our words."""


def encoded(value: Any, most: int = LARGEST_VALUE) -> bytes:
    """Raises `BadWord` if the value is too large, or of a type that ranks do not exchange.

    >>> encoded(Train(Path("step-000010")))
    b'{"Train": [{"Path": ["step-000010"]}]}'
    """
    return _bounded(json.dumps(_plain(value)).encode(), most)


def decoded(content: bytes, most: int = LARGEST_VALUE) -> Any:
    """Raises `BadWord` for all that `encoded` does not write.

    >>> decoded(encoded({"a": [1, (2.5, None)], "b": LoadAdapter(Path("x"))}))
    {'a': [1, (2.5, None)], 'b': LoadAdapter(weights=PosixPath('x'))}
    """
    try:
        return _built(json.loads(_bounded(content, most)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadWord(f"a rank received what no rank of this run sends: {type(error).__name__}: {error}") from error


def _bounded(content: bytes, most: int) -> bytes:
    if len(content) > most:
        raise BadWord(f"a message between ranks has {len(content)} bytes; allowed: at most {most}")
    return content


def _plain(value: Any) -> Any:
    """Objects are `{name of the class: its values}`, so that none is taken for a dict."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {"dict": [[_plain(key), _plain(each)] for key, each in value.items()]}
        case Path():
            return {"Path": [str(value)]}
        case tuple() if type(value) is tuple or type(value) in KNOWN.values():
            return {type(value).__name__: [_plain(each) for each in value]}
    if is_dataclass(value) and type(value) in KNOWN.values():
        return {type(value).__name__: [_plain(getattr(value, field.name)) for field in fields(value)]}
    raise BadWord(f"ranks do not exchange a {type(value).__name__}")


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return [_built(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((name, items),) = value.items()
    if not isinstance(items, list):
        raise TypeError(f"{name} without a list of its values")
    return KNOWN[name](*map(_built, items))
