r"""Are two formulas equal: `\frac{\sqrt{8}}{2}` and `\sqrt{2}`. The slow judge, and the last one asked.

Both are evaluated to many digits at a few fixed points: what agrees at all of them is equal. sympy's `simplify`, with
which math-verify compares, is bounded by nothing but a time-out that cancels every other alarm of the process.
"""

import functools
import re
from typing import Any

from grpo_job.rewards import latex
from grpo_job.rewards.formulas import LONGEST, Formula, NoFormula, formula

# Where formulas are compared: two positive, one negative (|x| is not x). A letter's place shifts the value.
_POINTS = ((733, 1009), (2741, 1013), (-1201, 1021))
_DIGITS, _MORE_DIGITS = 120, 1500
_SPARE = 20  # digits that rounding may spoil
_LABEL = re.compile(r"[\d\s().,/:-]+|.*[A-Za-z]\d.*")  # scores, dates, phone numbers; H2O, B12


def same_expression(given: str, gold: str) -> bool:
    r"""Whether both are formulas, and equal by algebra.

    >>> same_expression(r"\frac{\sqrt{8}}{2}", "sqrt(2)"), same_expression("(x+1)^2", "x^2 + 2x + 1")
    (True, True)
    >>> same_expression("1.414214", r"\sqrt{2}"), same_expression("9**9**9**9", "9**9**9**9 + 0")
    (False, False)
    """
    given, gold = _spelled_alike(given), _spelled_alike(gold)
    labels = [_LABEL.fullmatch(re.sub(r"\\[A-Za-z]+", "~", text)) for text in (given, gold)]
    if all(labels) or any(label and re.search("[A-Za-z]", label[0]) for label in labels):
        return False
    one, other = formula(given), formula(gold)
    if one is None or other is None:
        return False
    letters = tuple(sorted({*one.letters, *other.letters}))
    return all(_agree_at(point, letters, one, other) for point in (_POINTS if letters else _POINTS[:1]))


def same_equation(given: tuple[str, str], gold: tuple[str, str]) -> bool:
    r"""Whether two equations, each as its two sides, say the same: one difference is a multiple of the other.

    >>> same_equation(("2x-y+3", "0"), ("y", "2x+3")), same_equation(("x", "5"), ("y", "5"))
    (True, False)
    """
    read = [formula(_spelled_alike(side)) for side in (*given, *gold)]
    sides = [side for side in read if side is not None]
    if len(sides) < 4:
        return False
    letters = [tuple(sorted({*one.letters, *other.letters})) for one, other in (sides[:2], sides[2:])]
    if letters[0] != letters[1] or not letters[0]:
        return False
    try:
        ratios = [_ratio(point, letters[0], sides) for point in _POINTS]
        return abs(ratios[0]) > _tolerance(_DIGITS) and all(
            abs(ratio - ratios[0]) <= abs(ratios[0]) * _tolerance(_DIGITS) for ratio in ratios
        )
    except (NoFormula, ArithmeticError, ValueError):
        return False


def is_working(text: str) -> bool:
    r"""Whether it is a formula of numbers alone that is still to be worked out.

    >>> is_working("5^2"), is_working("25"), is_working("x^2")
    (True, False, False)
    """
    read = None if _LABEL.fullmatch(text) else formula(text)
    return read is not None and not read.letters and text not in ("e", "i")


def _spelled_alike(text: str) -> str:
    if len(text) > 2 * LONGEST:
        return text
    text = re.sub(r"\^\s*\(\s*([^()]*)\s*\)", r"^{\1}", latex.spelled_alike(text))
    return " ".join(text.split())


@functools.cache
def _arithmetic(digits: int) -> Any:
    """An mpmath context of its own, so that no precision that others set or read is changed."""
    import mpmath

    context = mpmath.mp.clone()
    context.dps = digits
    return context


def _tolerance(digits: int) -> Any:
    return _arithmetic(digits).mpf(10) ** (_SPARE - digits)


def _value(read: Formula, point: tuple[int, int], letters: tuple[str, ...], digits: int) -> Any:
    """Raises what mpmath raises where there is no value."""
    m, (numerator, denominator) = _arithmetic(digits), point
    values = {letter: m.mpf(numerator + 7 * place) / denominator for place, letter in enumerate(letters)}
    found = read.evaluate(m, values)
    if not m.isfinite(found):
        raise NoFormula
    return found


def _ratio(point: tuple[int, int], letters: tuple[str, ...], sides: list[Formula]) -> Any:
    left, right, other_left, other_right = (_value(side, point, letters, _DIGITS) for side in sides)
    return (left - right) / (other_left - other_right)


def _agree_at(point: tuple[int, int], letters: tuple[str, ...], one: Formula, other: Formula) -> bool:
    """Whether both have one value there, to many digits; what is nearly nothing or huge is looked at more closely."""
    try:
        for digits in (_DIGITS, _MORE_DIGITS):
            left, right = (_value(each, point, letters, digits) for each in (one, other))
            larger = max(abs(left), abs(right))
            if 1e-20 < larger < 1e60:
                break
        if larger < _tolerance(digits):
            return True
        return bool(abs(left - right) <= larger * _tolerance(digits))
    except (NoFormula, ArithmeticError, ValueError):  # mpmath's for what has no value; it equals nothing
        return False
