"""The letter of a multiple choice in its spellings: `(B)`, `B.`, `b`, `Option B`, `(B) Paris`; the options' texts."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore),? |"
    r"(?:the |my )?(?:final |correct |right |best )*(?:answer|choice|option|letter)(?: is)?:?\s*|"
    r"I (?:choose|pick|select)\s+|it(?: is|['’]s)\s+)+",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"[(\[]?\s*(?P<letter>[A-Ja-j])\s*[)\].:]{0,2}(?:(?<=[\w)\]])"
    r"\s+(?i:is (?:the )?(?:correct|right|best|answer)(?: (?:answer|choice|option|one))?)[.!]?)?"
)
_WITH_TEXT = re.compile(
    r"(?:\((?P<round>[A-Ja-j])\)[.:]?|(?P<plain>[A-J])(?:[.:)]| -|,?(?= because| since| \())|(?P<low>[a-j])(?: ?\)|:))"
    r"\s+(?P<text>\S.*)",
    re.DOTALL,
)
_ANOTHER = re.compile(
    r"\([A-Ja-j]\)|(?:\b(?:or|and|not)|[,/&])\s*\(?[A-J]\b|\bnot\b|\?|^(?:or|and)\b|^[A-J][.:)]|\s[A-J][.:)]\s*\S"
)
_RUN = re.compile(r"(?=..)A?B?C?D?E?F?G?H?I?J?")
_EACH = re.compile(r"\(?[A-J]\)?(?:(?:\s*[,;&]\s*|,?\s+and\s+|(?<=\))\s*(?=\())\(?[A-J]\)?)+")
_OF_SEVERAL = re.compile(r"(?:both|neither|all|none|only|either)\b[^?()]*", re.IGNORECASE)  # an option about options
_LABEL = r"\(?(?:([A-J])[).:]|([a-j]) ?\))"  # MathQA writes `a ) 38 , b ) 27.5`
_LISTED = re.compile(rf"(?:^|[\s,;]){_LABEL}\s*(.+?)(?=[\s,;]+{_LABEL}\s|$)", re.DOTALL)
_ARRAY = re.compile(r"array\((\[.*?\])(?:,\s*dtype=\w+)?\)", re.DOTALL)  # `{'text': array(['Rome'], dtype=object)}`
_BETWEEN = re.compile(r"(?<=['\"])\s+(?=['\"])")  # `['Rome' 'Paris']`
_LONGEST = 10_000  # characters of options as another program prints them

Equal = Callable[[str, str], bool]


def _without_lead(text: str) -> str:
    """Without `the answer is` and the like in front, and without bold."""
    text = text.replace("**", "").strip()
    lead = _LEAD.match(text)
    return text[lead.end() :] if lead else text


def bare_letter(text: str) -> str | None:
    """The letter, where nothing else is said.

    >>> bare_letter("Choice (B)"), bare_letter("**B is correct. **"), bare_letter("B cells")
    ('B', 'B', None)
    """
    match = _BARE.fullmatch(_without_lead(text))
    return match["letter"].upper() if match else None


def letter_and_text(text: str) -> tuple[str, str] | None:
    """The one letter that the text chooses, and what it says after it.

    >>> letter_and_text("(B) Paris"), letter_and_text("(B) or (C)"), letter_and_text("A. B cells")
    (('B', 'Paris'), None, ('A', 'B cells'))
    """
    text = _without_lead(text)
    if match := _WITH_TEXT.fullmatch(text):
        if _ANOTHER.search(match["text"]) and not _OF_SEVERAL.fullmatch(match["text"]):
            return None
        return (match["round"] or match["plain"] or match["low"]).upper(), match["text"]
    bare = bare_letter(text)
    return (bare, "") if bare else None


def same_choice(given: str, gold: str, equal: Equal) -> bool | None:
    """Whether both choose one letter or the same letters, or one the other's text; None where neither begins with one.

    >>> [same_choice(given, "B. Paris", str.__eq__) for given in ("(B)", "b) Paris", "Paris", "B. Rome", "A")]
    [True, True, True, False, None]
    >>> same_choice("A, C and D", "ACD", str.__eq__)
    True
    """
    if (letters := _several(given)) and letters == _several(gold):
        return True
    one, other = letter_and_text(given), letter_and_text(gold)
    if one and other:
        same = one[0] == other[0]
        return same and equal(one[1], other[1]) if one[1] and other[1] else same or None
    if (one or other or ("", ""))[1]:
        return equal(one[1] if one else given, other[1] if other else gold) or None
    return None


def _several(text: str) -> list[str] | None:
    """The letters of `ACD`, of `A, C and D` and of `(A)(C)(D)`."""
    return sorted(re.findall("[A-J]", text)) if _RUN.fullmatch(text) or _EACH.fullmatch(text) else None


def options(column: Any) -> dict[str, str]:
    """The texts of a row's options by their letters, from the shapes that data sets have.

    >>> options(["Rome", "Paris"]), options({"label": ["A", "B"], "text": ["Rome", "Paris"]})
    ({'A': 'Rome', 'B': 'Paris'}, {'A': 'Rome', 'B': 'Paris'})
    >>> options("A) Rome B) Paris"), options([{"label": "A", "text": "Rome"}, {"label": "B", "text": "Paris"}])
    ({'A': 'Rome', 'B': 'Paris'}, {'A': 'Rome', 'B': 'Paris'})
    """
    if isinstance(column, str):
        column = _read(column)
        if isinstance(column, str):
            return {(capital or low).upper(): text.strip() for capital, low, text, *_ in _LISTED.findall(column)}
    if isinstance(column, dict) and isinstance(column.get("text"), list):
        labels = column.get("label") or "ABCDEFGHIJ"
        return dict(zip(map(str, labels), map(str, column["text"]), strict=False))
    if isinstance(column, dict):
        return {str(label).strip("(). "): str(text) for label, text in column.items()}
    if not isinstance(column, list):
        return {}
    if column and all(isinstance(each, dict) for each in column):
        return dict(filter(None, map(_labelled, column)))
    texts = list(zip("ABCDEFGHIJ", map(str, column), strict=False))
    labels = [re.match(rf"\(?{letter}[).:]\s*", text) for letter, text in texts]
    if not all(labels):  # then `B.C.` is a text, and so is `J. Edgar Hoover`, but `B) 21` is labelled
        labels = [label if label and label[0][-1:].isspace() else None for label in labels]
    return {letter: text[label.end() if label else 0 :] for (letter, text), label in zip(texts, labels, strict=True)}


def _read(text: str) -> Any:
    """What is written as JSON, or as Python and pandas print it into CSV; the text where it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text.lstrip()[:1] not in ("[", "{") or len(text) > _LONGEST:
        return text
    plain = _BETWEEN.sub(", ", _ARRAY.sub(r"\1", text))
    try:
        return ast.literal_eval(plain.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _labelled(option: dict[str, Any]) -> tuple[str, str] | None:
    """The letter and the text of `{"label": "A", "text": "Rome"}` or `{"key": "A", "value": "Rome"}`."""
    for label, text in (("label", "text"), ("key", "value")):
        if label in option and text in option:
            return str(option[label]), str(option[text])
    return None


def right_among(given: str, gold: str, texts: dict[str, str], equal: Equal) -> bool:
    """Whether it is the row's answer where the options are known: the letter, its text, or both.

    >>> [right_among(given, "B", {"A": "Rome", "B": "Paris"}, str.__eq__) for given in ("B", "Paris", "(B) Rome")]
    [True, True, False]
    """
    if contradicts(given, texts, equal):
        return False
    right = gold.strip() if gold.strip() in texts else bare_letter(gold) or ""
    if right not in texts:
        right = next((label for label, text in texts.items() if equal(text, gold)), "")
    if right not in texts or list(texts.values()).count(texts[right]) != 1:
        return equal(given, gold)
    plain = _without_lead(given)
    labelled = re.match(rf"\(?{re.escape(right)}[).:]{{1,2}}\s*(?=\S)", plain)  # also before `John F. Kennedy`
    if labelled and equal(plain[labelled.end() :], texts[right]):
        return True
    return any(equal(given, each) for each in (gold, right, texts[right]))


def contradicts(given: str, texts: dict[str, str], equal: Equal) -> bool:
    """Whether it has the letter of one option and the text of another.

    >>> contradicts("(B) Rome", {"A": "Rome", "B": "Paris"}, str.__eq__)
    True
    """
    said = None if given.strip() in texts.values() else letter_and_text(given)
    return said is not None and any(label != said[0] and equal(said[1], text) for label, text in texts.items())
