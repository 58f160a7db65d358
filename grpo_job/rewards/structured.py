"""Answers that are JSON: the same whatever the order of their keys. And what a code fence holds."""

import json
import re
from collections.abc import Callable
from typing import Any

_FENCED = re.compile(r"\s*(?P<fence>`{3,}|~{3,})[\w+#.-]*[ \t]*\n(?P<content>.*?)\n?[ \t]*(?P=fence)\s*", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_DENIED = re.compile(r"\b(?:not|never|wrong|incorrect)\b|n['’]t\b", re.IGNORECASE)
_TRIES = 200  # brackets of a text that are tried
_DECODER = json.JSONDecoder()


def unfenced(text: str) -> str:
    r"""What stands in a code fence that is the whole text; a text that is none as it is.

    >>> unfenced('```json\n{"a": 1}\n```'), unfenced("It is ```x```")
    ('{"a": 1}', 'It is ```x```')
    """
    match = _FENCED.fullmatch(text)
    return match["content"] if match and match["fence"] not in match["content"] else text


def documents(text: str) -> list[str]:
    """The JSON objects, and lists of objects, in a text; none within another, nor behind a "not" on its line.

    >>> documents('First {"a": 1}, then [{"b": 2}], [3] and {4}, but not {"c": 3}.')
    ['{"a": 1}', '[{"b": 2}]']
    """
    found, place = list[str](), 0
    for _ in range(_TRIES):
        opening = _OPENING.search(text, place)
        if opening is None:
            break
        try:
            value, place = _DECODER.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            place = opening.end()
            continue
        if _holds_objects(value) and not _DENIED.search(_line_before(text, opening.start())):
            found.append(text[opening.start() : place])
    return found


def document(text: str) -> Any:
    """The objects that the whole text is as JSON, in a fence or without; None if it is none."""
    text = unfenced(text).strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if _holds_objects(value) else None


def same_document(one: str, other: str, equal: Callable[[str, str], bool]) -> bool | None:
    """Whether two texts are the same JSON, texts in it as `equal` says; None where one of them is not of objects.

    >>> same_document('{"a": 1, "b": [2.0]}', '{"b": [2], "a": 1}', str.__eq__), same_document("{1}", "{1}", str.__eq__)
    (True, None)
    """
    left, right = document(one), document(other)
    try:
        return None if left is None or right is None else _same(left, right, equal)
    except RecursionError:  # hundreds of lists within each other
        return False


def _line_before(text: str, place: int) -> str:
    return text[max(0, place - 200) : place].rpartition("\n")[2]


def _holds_objects(value: dict[str, Any] | list[Any]) -> bool:
    """`{}` is the empty set, and a list of numbers is a list."""
    return bool(value) and (isinstance(value, dict) or any(isinstance(each, dict) for each in value))


def _same(one: Any, other: Any, equal: Callable[[str, str], bool]) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key], equal) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair, equal) for pair in zip(one, other, strict=True))
    if isinstance(one, str) and isinstance(other, str):
        return equal(one, other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
