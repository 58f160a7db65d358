"""Answers in words: number words up to a hundred, yes and no, and a text's spelling where capitals may matter."""

import re

_ONES_LISTED = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen"""
_ONES = _ONES_LISTED.split()
_TENS_LISTED = """twenty thirty forty fifty sixty seventy eighty ninety"""
_TENS = _TENS_LISTED.split()
_NUMBERS = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_NUMBERS |= {
    f"{ten}{joint}{one}": 10 * tens + ones
    for tens, ten in enumerate(_TENS, start=2)
    for ones, one in enumerate(_ONES[:10])
    if ones
    for joint in ("-", " ")
}
_NUMBERS |= {"hundred": 100, "one hundred": 100, "a hundred": 100}
_ALTERNATIVES = "|".join(sorted((re.escape(word) for word in _NUMBERS), key=len, reverse=True))
NUMBER_WORD = re.compile(rf"\b(?:{_ALTERNATIVES})\b", re.IGNORECASE)
_LEADING = re.compile(rf"(?P<sign>(?:minus|negative) )?(?P<word>{_ALTERNATIVES})(?![\w-])", re.IGNORECASE)
_VERDICT = re.compile(
    r"(yes|no|true|false)(?:[.!]|[,;:]\s+(?P<rest>.{1,300})|\s+[-\u2014]\s+(?P<more>.{1,300}))?", re.I | re.S
)


def with_digits(text: str) -> str:
    """The text with the number word at its beginning in digits.

    >>> with_digits("seventy-two clips"), with_digits("tennis")
    ('72 clips', 'tennis')
    """
    match = _LEADING.match(text)
    if match is None:
        return text
    rest = text[match.end() :]
    if NUMBER_WORD.match(rest.lstrip()):
        return text
    return f"{'-' if match['sign'] else ''}{_NUMBERS[match['word'].lower()]}{rest}"


def verdict(text: str) -> str | None:
    """`yes`, `no`, `true` or `false` where the text begins with it and does not take it back.

    >>> verdict("Yes, she can."), verdict("Yes, or no.")
    ('yes', None)
    """
    match = _VERDICT.fullmatch(text.strip())
    if match is None:
        return None
    rest = match["rest"] or match["more"] or ""
    if match[1].lower() in ("no", "false"):
        rest = re.sub(r"\bnot\b|\b\w+n't\b", "", rest)
    if re.search(r"\b(?:or|no|not|yes|true|false|maybe|but|unless|\w+n't|cannot|never|wrong)\b|\?", rest, re.I):
        return None
    return match[1].lower()


def same_text(one: str, other: str) -> bool:
    """Whether two texts differ in spaces, an article, quotes, a last period and harmless capitals at most.

    >>> same_text("The cat sat.", "the cat sat"), same_text("CO", "Co")
    (True, False)
    """
    left, right = _spelling(one), _spelling(other)
    if left == right:
        return True
    if left.casefold() != right.casefold():
        return False
    pairs = zip(re.findall(r"[^\W\d_]+", left), re.findall(r"[^\W\d_]+", right), strict=False)
    alone = not re.search(r"\d", left)  # 12a and 12A are two labels
    return all(_harmless(a, b, alone=alone) for a, b in pairs)


def _spelling(text: str) -> str:
    text = re.sub(r" ?([^\w ]) ?", r"\1", " ".join(text.split())).rstrip(".")
    return re.sub(r"^(?:the|an?) (?=\w\w)", "", text, flags=re.IGNORECASE)


def _harmless(one: str, other: str, *, alone: bool) -> bool:
    """Capitals of a sentence, a heading or a choice; `Co` and `CO`, `pH` and `PH` are two things."""
    if one == other:
        return True
    if len(one) == 1:
        return alone and one.lower() in "abcdefghij"
    if len(one) == 2 and (one.isupper() or other.isupper()):
        return one.lower() in ("no", "ok")
    ordinary = [word.islower() or word.isupper() or word.istitle() for word in (one, other)]
    return all(ordinary) or (len(one) > 3 and (one.islower() or other.islower()))
