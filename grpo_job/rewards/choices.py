"""The letter of a multiple choice in its spellings: `(B)`, `B.`, `b`, `Option B`, `(B) Paris`."""

import re

_LEAD = re.compile(
    r"(?:(?:the )?(?:final |correct |right |best )*(?:answer|choice|option)(?: is)?:?\s*)+", re.IGNORECASE
)
_BARE = re.compile(r"[(\[]?\s*(?P<letter>[A-Ja-j])\s*[)\].:]{0,2}")
_WITH_TEXT = re.compile(
    r"(?:\((?P<round>[A-Ja-j])\)|(?P<plain>[A-J])(?:[.:)]| -)|(?P<low>[a-j])\))\s+(?P<text>\S.*)", re.DOTALL
)
_ANOTHER = re.compile(
    r"\([A-Ja-j]\)|(?:\b(?:or|and|not)|[,/&])\s*\(?[A-J]\b|\bnot\b|\?|^(?:or|and)\b|(?:^|\s)[B-J][.:)]"
)


def bare_letter(text: str) -> str | None:
    """The letter, where nothing else stands there.

    >>> bare_letter("Choice (B)"), bare_letter("B cells")
    ('B', None)
    """
    match = _BARE.fullmatch(_LEAD.sub("", text.strip(), count=1))
    return match["letter"].upper() if match else None


def letter(text: str) -> str | None:
    """The one letter that the text chooses, with or without the option's text.

    >>> letter("(B) Paris"), letter("(B) or (C)"), letter("A. B cells")
    ('B', None, 'A')
    """
    text = _LEAD.sub("", text.strip(), count=1)
    match = _WITH_TEXT.fullmatch(text)
    if match is None:
        return bare_letter(text)
    if _ANOTHER.search(match["text"]):
        return None
    return (match["round"] or match["plain"] or match["low"]).upper()


def same_choice(given: str, gold: str) -> bool:
    """Whether both choose one letter, and at least one of them is nothing but the letter."""
    if bare_letter(given) is None and bare_letter(gold) is None:
        return False
    return letter(given) is not None and letter(given) == letter(gold)
