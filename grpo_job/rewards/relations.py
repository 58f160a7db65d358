r"""Intervals and inequalities as regions of one line, equations with a name before them, matrices, ratios, bases."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from grpo_job.rewards import words

Equal = Callable[[str, str], bool]


class Interval(NamedTuple):
    """From `low` to `high`, as texts; a closed end has a square bracket."""

    open_bracket: str
    low: str
    high: str
    close_bracket: str


class Region(NamedTuple):
    """The intervals, the name of the variable where one stands, and whether it can be nothing else (a pair)."""

    intervals: list[Interval]
    name: str = ""
    certain: bool = True


_INTERVAL = re.compile(r"([(\[])([^,()\[\]]*(?:\([^()]*\)[^,()\[\]]*)*),([^,()\[\]]*(?:\([^()]*\)[^,()\[\]]*)*)([)\]])")
_RELATION = re.compile(r"\\[gl]e\s|[<>]")
_VARIABLE = re.compile(r"[a-zA-Z]")
_MEMBER = re.compile(r"(?P<name>[a-zA-Z])\s*\\in\s*(?P<rest>.+)")
_MATRIX = re.compile(r"\\begin\{pmatrix\}(?P<cells>.*)\\end\{pmatrix\}", re.DOTALL)
_ROWS = re.compile(r"\[\s*(\[[^\[\]]*\](?:\s*,\s*\[[^\[\]]*\])*)\s*\]")
_RATIO = re.compile(r"\d{1,9}(?:\.\d{1,6})?(?:\s*(?::| to )\s*\d{1,9}(?:\.\d{1,6})?){1,4}")
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d")
_BASE = re.compile(
    r"\(?([0-9A-Z]+)\)?\s*"
    r"(?:_\s*\{?\s*(?P<low>\d{1,2}|[a-z]{3,7})\s*\}?|\s\(?(?:in )?base[ -](?P<said>\d{1,2}|[a-z]{3,7})\)?)"
)
_OPENING = {"<": "(", ">": "(", r"\le": "[", r"\ge": "["}
_CLOSING = {"<": ")", ">": ")", r"\le": "]", r"\ge": "]"}
_FLIPPED = {">": "<", "<": ">", r"\ge": r"\le", r"\le": r"\ge"}


def region(text: str) -> Region | None:
    r"""The part of a line that the text is.

    >>> region("x > 2")
    Region(intervals=[Interval(open_bracket='(', low='2', high='\\infty', close_bracket=')')], name='x', certain=True)
    """
    name = ""
    if member := _MEMBER.fullmatch(text):
        name, text = member["name"], member["rest"]
    parts = re.split(r"\\cup\s|\bU\b|\s+or\s+", text)
    found: list[Interval] = []
    certain = len(parts) > 1 or bool(name) or r"\infty" in text
    for part in map(str.strip, parts):
        if match := _INTERVAL.fullmatch(part):
            found.append(Interval(*(piece.strip() for piece in match.groups())))
            certain = certain or match[1] + match[4] in ("(]", "[)")
            continue
        if part == r"\mathbb{R}":
            found.append(Interval("(", r"-\infty", r"\infty", ")"))
            certain = True
            continue
        bounded = _inequality(part)
        if bounded is None or (name and bounded[0] != name):
            return None
        name, certain = bounded[0], True
        found.append(bounded[1])
    return Region(found, name, certain)


def _inequality(text: str) -> tuple[str, Interval] | None:
    terms = [term.strip() for term in _RELATION.split(text)]
    signs = [sign.strip() for sign in _RELATION.findall(text)]
    if len(signs) == 2 and _VARIABLE.fullmatch(terms[1]):
        if {signs[0], signs[1]} <= {">", r"\ge"}:
            terms, signs = terms[::-1], [_FLIPPED[sign] for sign in signs[::-1]]
        if not {signs[0], signs[1]} <= {"<", r"\le"} or not (terms[0] and terms[2]):
            return None
        return terms[1], Interval(_OPENING[signs[0]], terms[0], terms[2], _CLOSING[signs[1]])
    if len(signs) != 1 or not all(terms):
        return None
    left, right, sign = terms[0], terms[1], signs[0]
    if not _VARIABLE.fullmatch(left):
        left, right, sign = right, left, _FLIPPED[sign]
    if not _VARIABLE.fullmatch(left) or left in right:
        return None
    if sign in ("<", r"\le"):
        return left, Interval("(", r"-\infty", right, _CLOSING[sign])
    return left, Interval(_OPENING[sign], right, r"\infty", ")")


def same_region(one: Region, other: Region, equal: Equal) -> bool:
    """Whether both hold the same intervals, in any order, for the same variable."""
    if (one.name and other.name and one.name != other.name) or len(one.intervals) != len(other.intervals):
        return False
    left = list(other.intervals)
    for interval in one.intervals:
        match = next((candidate for candidate in left if _same_interval(interval, candidate, equal)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _same_interval(one: Interval, other: Interval, equal: Equal) -> bool:
    brackets = (one.open_bracket, one.close_bracket) == (other.open_bracket, other.close_bracket)
    return brackets and equal(one.low, other.low) and equal(one.high, other.high)


def matrix(text: str) -> list[list[str]] | None:
    r"""The rows of a matrix of at most 36 cells, whatever its brackets.

    >>> matrix(r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}")
    [['1', '2'], ['3', '4']]
    """
    if match := _ROWS.fullmatch(text):
        rows = [[cell.strip() for cell in row.split(",")] for row in re.findall(r"\[([^\[\]]*)\]", match[1])]
    elif match := _MATRIX.fullmatch(text):
        lines = re.sub(r"\\\\\s*$", "", match["cells"].strip()).split("\\\\")
        rows = [[cell.strip() for cell in line.split("&")] for line in lines]
    else:
        return None
    return rows if sum(map(len, rows)) <= 36 else None


def same_matrix(one: list[list[str]], other: list[list[str]], equal: Equal) -> bool:
    """Whether both have the same shape and equal cells."""
    if [len(row) for row in one] != [len(row) for row in other]:
        return False
    return all(equal(a, b) for row, others in zip(one, other, strict=True) for a, b in zip(row, others, strict=True))


def ratio(text: str) -> list[Fraction] | None:
    """The parts of `3:4`, `3 to 4` or `3:4:5`, the last as 1; a time of day (`3:30`) is none.

    >>> ratio("6:3"), ratio("3:30")
    ([Fraction(2, 1), Fraction(1, 1)], None)
    """
    if not _RATIO.fullmatch(text) or _CLOCK.fullmatch(text):
        return None
    parts = [Fraction(part) for part in re.split(r"\s*:\s*|\s+to\s+", text)]
    return [part / parts[-1] for part in parts] if parts[-1] else None


def in_base(text: str) -> tuple[str, int] | None:
    """Digits and base of `1010_2`, `1010_{two}` or `1010 (base 2)`.

    >>> in_base("2516_{8}"), in_base("(101)_{two}")
    (('2516', 8), ('101', 2))
    """
    match = _BASE.fullmatch(text.strip())
    base = words.with_digits(match["low"] or match["said"]) if match else ""
    return (match[1], int(base)) if match and base.isdigit() else None
