"""Finds algebra that is written without LaTeX within a text: `(x-2)(x+3)`, `3(x-2)`, `3 + 2i`, `n(n+1)/2`. Pure."""

import re

from grpo_job.rewards import quantities

REACH = 100  # characters before a number in which the algebra around it begins

_BRACKET = r"\((?>[^()\n]{1,60})(?:\([^()\n]{1,30}\)(?>[^()\n]{0,30})){0,3}\)"
_FUNCTION = r"(?:(?:sqrt|sin|cos|tan|ln|exp|pi)(?![A-Za-z])|log(?![A-Za-z])(?:_?\d+)?)"
_LETTERS = r"(?:(?<=\d)[A-Za-z]{1,3}|(?<![A-Za-z])[A-Za-z]|(?<=[\d)]) (?:[xyz]|pi))(?![A-Za-z])"
_FACTOR = rf"(?:{_BRACKET}|\d{{1,3}}(?:,\d{{3}})++|\d++(?:\.\d++)?|{_FUNCTION}|{_LETTERS}|[π√²³¹⁰⁴-⁹⁻])"
_SIGN = r"(?: (?:\*\*|[-\u2212+*/×·^]) |\*\*|[-\u2212\u2013+*/×·^])"
_RUN = re.compile(rf"(?<![\w.,)])[-\u2212]?[$€£]?(?:{_FACTOR})++(?:{_SIGN}(?:{_FACTOR})++)*+")
_IS_ALGEBRA = re.compile(rf"[A-Za-zπ√⁰-⁹⁻²³¹]|[\d)]{_SIGN}?\(|\){_SIGN}?\d|\d{_SIGN}\d")
_WORD = re.compile(rf"(?!{_FUNCTION})(?<![A-Za-z])[A-Za-z]{{3,}}")
_WITH_LETTERS = re.compile(r"[-\d.,]+(?!(?:[inxyz]|pi|[abcnp-z]{2,3})$)[A-Za-z]+")  # `100m`, `5A`, but `5x`, `4ab`
_TIMES = re.compile(r"[\d.]+x [a-z]{2}")  # `3x as many`


def around(text: str, start: int, end: int) -> str | None:
    """The whole of the algebra that the text from `start` to `end`, a number, is a piece of; None if of none.

    >>> around("It is 3(x-2).", 10, 11), around("It is 72kg.", 6, 8), around("It is 10k.", 6, 8)
    ('3(x-2)', None, '10k')
    """
    runs = _RUN.finditer(text, max(0, start - REACH), end + REACH)
    run = next((run for run in runs if run.start() <= start < end <= run.end()), None)
    if run is None or not _IS_ALGEBRA.search(run[0]) or re.fullmatch(_BRACKET, run[0]):
        return None
    if read := quantities.quantity(run[0]):
        number = quantities.quantity(text[start:end])
        return None if number and number.value == read.value else run[0]
    named = _WORD.search(run[0]) or _WITH_LETTERS.fullmatch(run[0]) or _TIMES.match(text, run.start())
    return None if named else run[0]
