r"""Reads a short text as one number with its unit: `$1,000.50`, `-2/3`, `72 apples`, `7.2 \times 10^{1}`.

Values are exact fractions, so `72.00` is 72 and 0.6667 is not 2/3; only a decimal of six digits and more is what rounds
to it, as for math-verify. A text that is not one number (a range, a list, a sum still to be done, a time of day) is not
read at all. `%` is a unit: 72% is 72, and is not 0.72.
"""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from grpo_job.rewards import latex, units, words

LONGEST = 500  # characters of a text that is read at all
FEWEST_DIGITS, MOST_PLACES = 6, 12  # of a decimal that may be a rounded value; the last digits of a double are not sure


class Quantity(NamedTuple):
    """`x = 72 apples` is value 72, unit ("apples",), name "x"; unit and name are empty where there is none.

    `compound`: it was said in several units, such as feet and inches.
    """

    value: Fraction
    unit: tuple[str, ...] = ()
    name: str = ""
    compound: bool = False


_GROUPED = r"\d{1,3}(?:(?:,\d{3})+|(?:[\u00a0\u2009\u202f]\d{3})+|(?:'\d{3})+|(?:,\d\d)+,\d{3})(?!\d)"
COMPOUND = re.compile(r"\d+ ?[A-Za-z]+\.?(?:,? +(?:and )?\d+(?:\.\d+)? ?[A-Za-z]+\.?){1,3}")
NUMBER = rf"(?:(?:{_GROUPED}|\d+)(?:\.\d+)?|\.\d+)"

_PREFIX = re.compile(r"(?:(?:approximately|about|around|roughly)\b|\\approx|~)\s*", re.IGNORECASE)
_SCALES = {"hundred": 10**2, "thousand": 10**3, "k": 10**3, "million": 10**6, "billion": 10**9}
_SCALES |= {"trillion": 10**12, "lakh": 10**5, "crore": 10**7, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}

_QUANTITY = re.compile(
    rf"""
    (?P<sign>[-+]|(?:negative|minus)\s)?\s*
    (?P<currency>US\$|[$€£₹¥]|(?:USD|EUR|GBP|JPY|INR|CNY|CAD|AUD|CHF|Rs\.?)(?=[ \d]))?\s*
    (?P<inner_sign>[-+])?
    (?:(?P<whole>\d+)\s*[ ](?P<part>\d+/\d+) | (?P<number>{NUMBER})(?:\s*/\s*(?P<divisor>{NUMBER}))?)
    (?:e(?P<e>[-+]?\d{{1,3}})(?![\d.]) | \s*[x*]\s*10\s*\^\s*(?P<power>[-+]?\d{{1,3}})(?![\d.^/]))?
    (?P<scale>\s?(?:bn|mn)\b|(?:k|(?-i:[MB]))\b|\s+(?:hundred|thousand|lakh|million|crore|billion|trillion)\b)?
    (?P<rest>[^\d=].*)?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_MEASURE = re.compile(r"(?P<formula>.*?\S)\s+(?P<power>(?:square |sq\.? |cubic )?)(?P<unit>[A-Za-z]{2,}(?:\^?[23])?)")
_POWER_OF_TEN = re.compile(r"([-+]?)10\s*\^\s*([-+]?\d{1,3})")

_UNIT_WORD = re.compile(rf"{latex.COUNTER}|[A-Za-z\u00b5\u03bc\u03a9][A-Za-z'-]*\.?(?:\^?[23])?|[%$€£₹¥]")
# Units that may touch the number. Other letters there are variables: `2x`, `3ab`.
_TOUCHING = frozenset(str.split("km cm mm kg mg ml hr hrs min mins sec lb lbs oz ft mph kmh gb mb am pm kr"))
_ONE_LETTER = frozenset("mgshlwvLWVFCJNKA")
_NUMBER_TWICE = re.compile(r"([\d,]+|[a-z -]+?)\s*\(([\d,]+|[a-z -]+)\)", re.IGNORECASE)
_SPACED_GROUPS = re.compile(r"(?<![\d.,/])\d{1,3}(?: \d{3})+(?![\d/]| \d|[.,]\d{3})")


def plain(text: str) -> str:
    r"""LaTeX and Unicode spellings of numbers as plain ones.

    >>> plain(r"1{,}000 \times 10^{2}"), plain(r"-2\frac{1}{3}"), plain("\u2212½")
    ('1,000 *10^2', '-2 1/3', '- 1/2')
    """
    text = latex.spelled_alike(text)
    if "\\" in text or "{" in text:
        text = re.sub(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r" \1/\2", text)
        text = re.sub(r"\^\s*\{([^{}]*)\}", r"^\1", text)
        text = re.sub(r"(?<![\w}])\{(\d+)\}", r"\1", text)
    return text.replace("¢", " cents").strip()


@functools.lru_cache(maxsize=4096)
def quantity(text: str) -> Quantity | None:
    r"""The one number that the text is, or None.

    >>> quantity("-$1,000.50")
    Quantity(value=Fraction(-2001, 2), unit=('dollar',), name='', compound=False)
    >>> quantity("72 or 73") is None
    True
    """
    if len(text) > LONGEST:
        return None
    text = _in_digits(plain(latex.unwrap(text)))
    if COMPOUND.fullmatch(text) and (read := _compound(text)):
        return read
    left, _, right = text.rpartition("=")
    if _is_name(right) and _QUANTITY.fullmatch(left.strip()):
        left, right = right, left
    named, _, working = left.partition("=") if _is_name(left.partition("=")[0]) else ("", "", left)
    if not _is_working(working, right):
        return None
    name = named.strip()
    if power := _POWER_OF_TEN.fullmatch(right.strip()):
        return Quantity(Fraction(10) ** int(power[2]) * (-1 if power[1] == "-" else 1), (), name)
    match = _QUANTITY.fullmatch(_PREFIX.sub("", right.strip(), count=1))
    if match is None:
        return None
    value = _value(match)
    unit = _unit(match["currency"] or "", match["rest"] or "")
    return None if value is None or unit is None else Quantity(value, unit, name)


def _in_digits(text: str) -> str:
    """Numbers in words, marks of feet and inches, brackets, and all countries' thousands as plain digits."""
    if (again := _NUMBER_TWICE.fullmatch(text)) and words.with_digits(again[1]) == words.with_digits(again[2]):
        text = again[1]
    if re.search("[A-Za-z]", text):
        parts = re.split(r"(,? and (?=[a-z-]+ [a-z]))", words.with_digits(text))
        text = "".join(map(words.with_digits, parts))
        text = re.sub(r"^([$\d]+) and (\d+/\d+|a half\b)", lambda m: f"{m[1]} {m[2].replace('a half', '1/2')}", text)
        text = re.sub(r"(?<=\d)(?: ?- ?(?=[a-z]{3}))", " ", text)
        text = re.sub(r"\b([ap])\.\s?m\.?", r"\1m", text)
        text = re.sub(r"^\$(\d+)(?= and \d+ cents?$)", r"\1 dollars", text)
    text = re.sub(r"^([-+]?)\(([^(),]*)\)$", r"\1\2", text)
    text = re.sub(r"(\d) ?(?:\"|'')", r"\1 inches ", text)
    text = re.sub(r"(\d) ?'(?!\d{3}(?!\d))", r"\1 feet ", text).strip()
    return _european(_SPACED_GROUPS.sub(lambda match: match[0].replace(" ", ""), text))


def _european(text: str) -> str:
    """`1.234.567` and `1.234,50` as `1234567` and `1234.50`; `5,50`, which may be two numbers, only by a currency."""
    text = re.sub(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])", lambda match: match[0].replace(".", ""), text)
    text = re.sub(
        r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+|\d{4,}),(\d{1,2})(?![\d.,])",
        lambda match: f"{match[1].replace('.', '')}.{match[2]}",
        text,
    )
    return re.sub(r"(?<![\d.,])(\d+),(\d\d)(?![\d.,])(?=\s*€)|(?<=€)(\d+),(\d\d)(?![\d.,])", r"\1\3.\2\4", text)


def _compound(text: str) -> Quantity | None:
    found = re.findall(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text)
    amount = units.total([(Fraction(value), unit) for value, unit in found])
    return Quantity(amount[0], (amount[1],), "", True) if amount else None


def same_quantity(one: Quantity, other: Quantity) -> bool:
    """Equal values, with units and names that do not contradict each other.

    >>> same_quantity(Quantity(Fraction(72), ("apples",)), Quantity(Fraction(72)))
    True
    >>> same_quantity(Quantity(Fraction(72), ("hours",)), Quantity(Fraction(72), ("minutes",)))
    False
    """
    if one.name and other.name and one.name != other.name:
        return False
    convert = one.compound or other.compound or (units.is_money(one.unit) and units.is_money(other.unit))
    if convert and units.same_amount(one.value, one.unit, other.value, other.unit):
        return True
    return _same_value(one.value, other.value) and units.same_units(one.unit, other.unit)


def _same_value(one: Fraction, other: Fraction) -> bool:
    return one == other or _rounds(one, other) or _rounds(other, one)


def _rounds(value: Fraction, decimal: Fraction) -> bool:
    """Whether `decimal` is the value, rounded to many digits: 0.142857 is 1/7, and so is the double of 1 / 7."""
    places = next((each for each in range(MOST_PLACES) if (decimal * 10**each).denominator == 1), MOST_PLACES)
    many = places >= FEWEST_DIGITS and abs(decimal) * 10**places >= 10 ** (FEWEST_DIGITS - 1)
    return many and round(value, places) == round(decimal, places)


def with_unit(text: str) -> tuple[str, tuple[str, ...]] | None:
    r"""A formula and the measure after it.

    >>> with_unit(r"16\pi cm^2"), with_unit(r"16\pi square units"), with_unit("2x")
    (('16\\pi', ('cm^2',)), ('16\\pi', ('square', 'units')), None)
    """
    match = _MEASURE.fullmatch(plain(text)) if re.search(r"\d|\\", text) else None
    if match is None or not units.known(re.sub(r"\^?[23]$", "", match["unit"])):
        return None
    return match["formula"].strip(), (*match["power"].split(), match["unit"])


def _is_working(left: str, right: str) -> bool:
    """`48 + 24` in `48 + 24 = 72`: numbers and signs only, or nothing; one number alone is no working of another."""
    left = re.sub(r"(?<=\d)\s*x\s*(?=\d)", "*", left)
    if re.fullmatch(NUMBER, alone := left.strip()):
        read = _QUANTITY.fullmatch(right.strip())
        return read is not None and fraction(alone) == _value(read)
    return re.fullmatch(r"[\d\s.,$%+*/÷()=!-]*", left) is not None


def _is_name(left: str) -> bool:
    return re.fullmatch(r"\s*[A-Za-z][A-Za-z_ ]*", left) is not None


def _value(match: re.Match[str]) -> Fraction | None:
    if match["sign"] and match["inner_sign"]:
        return None
    scale = (match["scale"] or "").strip()
    if scale.lower() == "k" and not match["currency"] and len(match["number"] or "") < 2:
        return None  # the product of 2 and k
    try:
        value = _magnitude(match)
    except ZeroDivisionError:
        return None
    value *= Fraction(10) ** int(match["e"] or match["power"] or 0)
    value *= _SCALES.get(scale.lower(), 1)
    sign = (match["sign"] or match["inner_sign"] or "").strip().lower()
    return -value if sign in ("-", "negative", "minus") else value


def _magnitude(match: re.Match[str]) -> Fraction:
    if match["whole"]:
        return int(match["whole"]) + Fraction(match["part"])
    return fraction(match["number"]) / fraction(match["divisor"] or "1")


def fraction(number: str) -> Fraction:
    return Fraction(re.sub(r"[^\d.]", "", number))


def _unit(currency: str, rest: str) -> tuple[str, ...] | None:
    """The words after the number, or None where they are no unit."""
    spaced = re.sub(r"([/%$€£₹¥])", r" \1 ", rest.rstrip(" \t\n.,;:")).replace(" / ", " per ")
    spaced = re.sub(r"\b(?:per cent|percentage points?|percent)\b", "%", spaced)
    spaced = re.sub(r"\b([A-Za-z]+) (squared|cubed)\b", _raised, spaced)
    listed = spaced.split()
    if len(listed) > 8 or not all(map(_UNIT_WORD.fullmatch, listed)) or not units.may_follow(listed):
        return None
    if listed and not _may_begin_unit(listed[0], touching=not spaced[0].isspace()):
        return None
    money = units.known(currency.lower())
    if money and not (listed and units.known(listed[0]) == money):
        listed.insert(0, money)
    return tuple(listed)


def _raised(match: re.Match[str]) -> str:
    return f"{match[1]}^{2 if match[2] == 'squared' else 3}" if units.known(match[1]) else match[0]


def _may_begin_unit(word: str, *, touching: bool) -> bool:
    letters = re.sub(r"[^A-Za-z\u00b5\u03bc\u03a9]", "", word)
    if not letters:
        return True
    if touching:
        return letters.lower() in _TOUCHING or (len(letters) > 3 and letters.islower()) or letters in ("F", "C")
    return len(letters) > 1 or letters in _ONE_LETTER or letters == "Ω"
