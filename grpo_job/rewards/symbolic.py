r"""Are two LaTeX expressions equal: `\frac{\sqrt{8}}{2}` and `\sqrt{2}`. The slow judge, and the last one asked.

math-verify reads the expressions. Its own comparison ends in sympy's `simplify`, which nothing bounds, so here
both are evaluated to many digits at a few fixed points instead: what agrees at all of them is equal.

Only small expressions of a small language are read: no towers of powers, sums, integrals, factorials or
equations. What is outside that language is equal to nothing but its own text. So this always ends soon, and
needs none of math-verify's time-outs, which use `signal.alarm` and cancel every other alarm of the process.
"""

import functools
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

LONGEST = 80

_COMMAND_NAMES = """frac dfrac tfrac sqrt pi cdot times div left right sin cos tan log ln
    alpha beta gamma theta lambda mu phi omega"""
_COMMANDS = frozenset(_COMMAND_NAMES.split())
_ALLOWED = re.compile(r"[A-Za-z0-9+\-*/^(){}\[\].|\\ ]+")
_POWER = re.compile(r"\^(?:\{(-?\d{1,2})(?:/\d)?\}|(\d)|\{?[a-z]\}?)(?!\s*[\^!])")
_SPELLINGS = (
    (r"\*\*", "^"),
    (r"\^\s*\(\s*([^()]*)\s*\)", r"^{\1}"),
    (r"(?<!\\)sqrt\s*\(([^()]*)\)|√\s*\(([^()]*)\)|√\s*(\d+|[a-z])", r"\\sqrt{\1\2\3}"),
    (r"π|(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi "),
    (r"²", "^2"),
    (r"³", "^3"),
    (r"[\u2212\u2013]", "-"),
    (r"[\u00d7\u00b7]", r"\\cdot "),
    (r"\\[,;!: ]", " "),
    (r"\s+", " "),
)

# Where expressions are compared: two positive, one negative (|x| is not x). A letter's place shifts the value.
_POINTS = ((733, 1009), (2741, 1013), (-1201, 1021))
_DIGITS, _MORE_DIGITS = 40, 300
_LABEL = re.compile(r"[\d\s().,/:-]+|.*(?<![\\a-zA-Z])[A-Za-z]\d.*")  # scores, dates, phone numbers; H2O, B12
_ONE_AT_A_TIME = threading.Lock()  # sympy's caches do not promise to bear several threads


def same_expression(given: str, gold: str) -> bool:
    r"""Whether both are in the small language, and equal by algebra.

    >>> same_expression(r"\frac{\sqrt{8}}{2}", "sqrt(2)"), same_expression("(x+1)^2", "x^2 + 2x + 1")
    (True, True)
    >>> same_expression("1.414214", r"\sqrt{2}"), same_expression("9**9**9**9", "9**9**9**9 + 0")
    (False, False)
    """
    given, gold = _spelled_alike(given), _spelled_alike(gold)
    if not (_is_small(given) and _is_small(gold)):
        return False
    if _LABEL.fullmatch(given) and _LABEL.fullmatch(gold):
        return False
    with _ONE_AT_A_TIME:
        one, other = _reader()(_exact(given)), _reader()(_exact(gold))
        return one is not None and other is not None and _agree(one, other)


def same_equation(given: tuple[str, str], gold: tuple[str, str]) -> bool:
    r"""Whether two equations, each as its two sides, say the same: one difference is a multiple of the other.

    >>> same_equation(("2x-y+3", "0"), ("y", "2x+3")), same_equation(("x", "5"), ("y", "5"))
    (True, False)
    """
    sides = [_spelled_alike(side) for side in (*given, *gold)]
    if not all(side.isalnum() or _is_small(side) for side in sides) or any(map(_is_word, sides)):
        return False
    with _ONE_AT_A_TIME:
        read = [_reader()(_exact(side)) for side in sides]
        if any(expression is None for expression in read):
            return False
        return _are_multiples(read[0] - read[1], read[2] - read[3])


def _is_word(side: str) -> bool:
    return side.isalnum() and not (side.isdigit() and len(side) <= 12) and not re.fullmatch(r"\d{0,6}[a-zA-Z]", side)


def _are_multiples(one: Any, other: Any) -> bool:
    if one.free_symbols != other.free_symbols or not one.free_symbols:
        return False
    letters = sorted(one.free_symbols, key=str)
    try:
        ratios = []
        for point in _POINTS:
            values = _values(letters, point)
            ratios.append(one.evalf(_DIGITS, subs=values) / other.evalf(_DIGITS, subs=values))
        first = ratios[0]
        if not all(ratio.is_finite for ratio in ratios) or abs(first) < 10**-20:
            return False
        return all(abs(ratio - first) <= abs(first) * 10**-25 for ratio in ratios)
    except Exception:  # as in `_agree_at`
        return False


def _spelled_alike(text: str) -> str:
    if len(text) > LONGEST:
        return text
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text)
    return text.strip()


def _exact(text: str) -> str:
    r"""Decimals as fractions, for a reader that rounds them: `0.5x` as `\frac{05}{10}x`."""
    return re.sub(r"(\d*)\.(\d+)", lambda m: rf"\frac{{{m[1]}{m[2]}}}{{{10 ** len(m[2])}}}", text)


def _is_small(text: str) -> bool:
    """Whether it is surely read and evaluated at once. A list of what is allowed, never of what is not."""
    return (
        len(text) <= LONGEST
        and _ALLOWED.fullmatch(text) is not None
        and set(re.findall(r"\\([A-Za-z]+|.)", text)) <= _COMMANDS
        and _has_small_parts(text)
        and _has_small_powers(text)
        and _is_shallow(text)
    )


def _has_small_parts(text: str) -> bool:
    """Short numbers and single letters: a word is not a product of variables."""
    words = re.findall(r"[A-Za-z]+", re.sub(r"\\[A-Za-z]+", " ", text))
    if not re.search(r"[\d+*/^|\\]", text):
        return False  # "no" and "on" are words, not the products n·o and o·n
    return (
        all(len(word) <= 2 for word in words)
        and len(set("".join(words))) <= 4
        and all(len(number) <= 12 for number in re.findall(r"\d+", text))
    )


def _has_small_powers(text: str) -> bool:
    powers = list(_POWER.finditer(text))
    if len(powers) != text.count("^") or len(powers) > 4:
        return False
    product = 1
    for power in powers:
        product *= max(1, abs(int(power[1] or power[2] or 1)))
    return product <= 100


def _is_shallow(text: str) -> bool:
    depth = deepest = 0
    for character in text:
        depth += (character in "{([") - (character in "})]")
        deepest = max(deepest, depth)
    return deepest <= 6


@functools.cache
def _reader() -> Callable[[str], Any]:
    """math-verify's reader of LaTeX, imported on first need (sympy is slow to import)."""
    from math_verify import LatexExtractionConfig, parse
    from math_verify.parser import NormalizationConfig, sympy

    # Without its time-outs it warns once that hangs are ours to prevent; `_is_small` does.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    # units=False: it would take the h of 2h for hours
    spelling = NormalizationConfig(units=False, malformed_operators=True, boxed="none")
    latex = [LatexExtractionConfig(boxed_match_priority=-1, normalization_config=spelling)]

    def read(text: str) -> Any:
        """The expression, or None where it is none."""
        found = parse(f"${text}$", latex, fallback_mode="no_fallback", parsing_timeout=None)
        return found[0] if found and isinstance(found[0], sympy.Expr) else None

    return read


def _agree(one: Any, other: Any) -> bool:
    letters = sorted(one.free_symbols | other.free_symbols, key=str)
    return all(_agree_at(_values(letters, point), one, other) for point in _POINTS)


def _values(letters: list[Any], point: tuple[int, int]) -> dict[Any, Any]:
    from math_verify.parser import sympy

    numerator, denominator = point
    return {  # floats: exact fractions as exponents would be worked out exactly, for minutes
        letter: sympy.Float(numerator + 7 * place, 2 * _MORE_DIGITS) / denominator
        for place, letter in enumerate(letters)
    }


def _agree_at(values: dict[Any, Any], one: Any, other: Any) -> bool:
    """Whether both have one value there, to many digits; False where either has none."""
    try:
        left, right = one.evalf(_DIGITS, subs=values), other.evalf(_DIGITS, subs=values)
        if not (left.is_finite and right.is_finite):
            return False
        if max(abs(left), abs(right)) < 10**-20:  # nothing, or merely tiny
            left, right = one.evalf(_MORE_DIGITS, subs=values), other.evalf(_MORE_DIGITS, subs=values)
            if max(abs(left), abs(right)) < 10**-250:
                return True
        return bool(abs(left - right) <= max(abs(left), abs(right)) * 10**-25)
    except Exception:  # sympy raises many kinds for what has no value; such a thing equals nothing
        return False
