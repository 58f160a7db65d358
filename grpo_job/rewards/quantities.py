r"""Reads a short text as one number with its unit: `$1,000.50`, `-2/3`, `72 apples`, `7.2 \times 10^{1}`.

Values are exact fractions, so `72.00` is 72 and 0.6667 is not 2/3. A text that is not one number (a range, a
list, a sum still to be done, a time of day) is not read at all. `%` is a unit: 72% is 72, and is not 0.72.
"""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from grpo_job.rewards import latex, units, words

LONGEST = 500  # characters of a text that is read at all


class Quantity(NamedTuple):
    """`x = 72 apples` is value 72, unit ("apples",), name "x"; unit and name are empty where none stands."""

    value: Fraction
    unit: tuple[str, ...] = ()
    name: str = ""


_SIGNS = dict.fromkeys(map(ord, "\u2212\u2013\u2010\u2011\ufe63\uff0d"), "-") | {0xD7: "*", 0xB7: "*"}
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_GROUPED = r"\d{1,3}(?:(?:,\d{3})+|(?:[\u00a0\u2009\u202f]\d{3})+|(?:'\d{3})+)(?!\d)"
NUMBER = rf"(?:(?:{_GROUPED}|\d+)(?:\.\d+)?|\.\d+)"

_WRAPPED = (
    re.compile(r"(\*\*|\*|__|_|`+|\"|')(?P<inside>.+)\1", re.DOTALL),
    re.compile(r"\$\$?(?P<inside>[^$]+)\$\$?"),
    re.compile(r"\\\((?P<inside>.+)\\\)", re.DOTALL),
    re.compile(r"\\\[(?P<inside>.+)\\\]", re.DOTALL),
    re.compile(r"\\(?:text|textbf|mathbf|mathrm)\s*\{(?P<inside>[^{}]*)\}"),
    re.compile(r"“(?P<inside>[^“”]+)”"),
)
_PREFIX = re.compile(
    r"(?:(?:the )?(?:final )?answer(?: is)?\b:?|(?:approximately|about|around|roughly)\b|[≈~])\s*", re.IGNORECASE
)
_CURRENCIES = {"$": "dollar", "usd": "dollar", "€": "euro", "eur": "euro", "£": "pound", "gbp": "pound"}
_CURRENCIES |= {"₹": "rupee", "rs": "rupee", "rs.": "rupee", "¥": "yen"}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "k": 10**3, "million": 10**6, "billion": 10**9}
_SCALES |= {"trillion": 10**12, "lakh": 10**5, "crore": 10**7, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}

_QUANTITY = re.compile(
    rf"""
    (?P<sign>[-+]|(?:negative|minus)\s)?\s*
    (?P<currency>US\$|[$€£₹¥]|USD|EUR|GBP|Rs\.?)?\s*
    (?P<inner_sign>[-+])?
    (?:(?P<whole>\d+)\s*[ ](?P<part>\d+/\d+) | (?P<number>{NUMBER})(?:\s*/\s*(?P<divisor>{NUMBER}))?)
    (?:e(?P<e>[-+]?\d{{1,3}})(?![\d.]) | \s*[x*]\s*10\s*\^\s*(?P<power>[-+]?\d{{1,3}})(?![\d.^/]))?
    (?P<scale>\s?(?:bn|mn)\b|(?:k|(?-i:[MB]))\b|\s+(?:hundred|thousand|lakh|million|crore|billion|trillion)\b)?
    (?P<rest>[^\d=].*)?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_POWER_OF_TEN = re.compile(r"([-+]?)10\s*\^\s*([-+]?\d{1,3})")

_UNIT_WORD = re.compile(r"[A-Za-z\u00b5\u03bc\u03a9][A-Za-z'-]*\.?(?:\^?[23]|[²³])?|%")
# Units that may touch the number. Other letters there are variables: `2x`, `3ab`.
_TOUCHING_LISTED = """km cm mm kg mg ml hr hrs min mins sec lb lbs oz ft mph kmh gb mb am pm % cents kr"""
_TOUCHING = frozenset(_TOUCHING_LISTED.split())
_ONE_LETTER_LISTED = """m g s h l w v L W V F C J N K"""
_ONE_LETTER = frozenset(_ONE_LETTER_LISTED.split())
_WORD_NUMBER_AGAIN = re.compile(r"(.*\d)\s*\(([a-z -]+)\)", re.IGNORECASE | re.DOTALL)
_SPACED_GROUPS = re.compile(r"(?<![\d.,/])\d{1,3}(?: \d{3})+(?![\d.,/]| \d)")


def unwrap(text: str) -> str:
    r"""The text without what surrounds a value: white space, Markdown, math signs, `\boxed{}`, a last period.

    >>> unwrap(r"**\boxed{72}.**")
    '72'
    """
    text = text.strip()
    for _ in range(8):  # as deep as anyone nests them
        inside = _inside(text.rstrip(".;").rstrip() if not text.endswith("..") else text)
        if inside == text:
            break
        text = inside
    return text


def _inside(text: str) -> str:
    for wrapped in _WRAPPED:
        if match := wrapped.fullmatch(text):
            return match["inside"].strip()
    if text.endswith("}") and text.startswith(("\\boxed", "\\fbox")):
        found = latex.boxes(text)
        if found and len(re.sub(r"\s", "", found[-1])) + len(r"\boxed{}") >= len(re.sub(r"\s", "", text)):
            return found[-1]
    return text


def plain(text: str) -> str:
    r"""LaTeX and Unicode spellings of numbers as plain ones.

    >>> plain(r"1{,}000 \times 10^{2}"), plain(r"-2\frac{1}{3}"), plain("\u2212½")
    ('1,000 * 10^2', '-2 1/3', '- 1/2')
    """
    text = "".join(map(_plain_character, text.translate(_SIGNS)))
    text = re.sub(r"(?<=10)[⁻⁰¹²³⁴-⁹]+", lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r" \1/\2", text)
    text = re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r" \1/\2", text)
    text = re.sub(r"\\(?:text|mathrm|mbox|textbf)\s*\{([^{}]*)\}", r" \1", text)
    text = re.sub(r"\\(?:times|cdot)(?![a-zA-Z])", "*", text)
    text = re.sub(r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ|°", " degrees ", text).replace("¢", " cents")
    text = re.sub(r"\^\s*\{([^{}]*)\}", r"^\1", text).replace("**", "^").replace("{,}", ",")
    text = re.sub(r"\\([$%])", r"\1", text)
    text = re.sub(r"\\!", "", text)
    text = re.sub(r"\\[,;: ]|(?<=\d)~(?=\w)", "\u2009", text)
    return text.strip()


def _plain_character(character: str) -> str:
    """Digits of every script as ASCII, and `½` as ` 1/2`; a superscript stays what it is."""
    if character.isascii():
        return character
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    if "<fraction>" in unicodedata.decomposition(character):
        return " " + unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    return character


def quantity(text: str) -> Quantity | None:
    r"""The one number that the text is, or None.

    >>> quantity("-$1,000.50")
    Quantity(value=Fraction(-2001, 2), unit=('dollar',), name='')
    >>> quantity("72 or 73") is None
    True
    """
    if len(text) > LONGEST:
        return None
    left, _, right = _in_digits(plain(latex.spelled_alike(unwrap(text)))).rpartition("=")
    if _is_name(right) and _QUANTITY.fullmatch(left.strip()):
        left, right = right, left
    if not _is_working(left) and not _is_name(left):
        return None
    name = left.strip() if _is_name(left) else ""
    if power := _POWER_OF_TEN.fullmatch(right.strip()):
        return Quantity(Fraction(10) ** int(power[2]) * (-1 if power[1] == "-" else 1), (), name)
    match = _QUANTITY.fullmatch(_PREFIX.sub("", right.strip(), count=1))
    if match is None:
        return None
    value = _value(match)
    unit = None if value is None else _unit(match["currency"] or "", match["rest"] or "", single=abs(value) <= 1)
    return None if value is None or unit is None else Quantity(value, unit, name)


def _in_digits(text: str) -> str:
    """Number words at the beginning, `1 and 1/2` and groups of thousands between spaces as one number."""
    if (again := _WORD_NUMBER_AGAIN.fullmatch(text)) and words.with_digits(again[2].strip()) == again[1].strip():
        text = again[1]
    text = words.with_digits(_PREFIX.sub("", text, count=1))
    text = re.sub(r"^(\d+) and (\d+/\d+)", r"\1 \2", text)
    text = re.sub(r" (?:and )?0 (?:seconds|minutes|cents|inches)$", "", text)
    text = re.sub(
        r"(?<![\d.,])(\d{1,3}(?:[. ]\d{3})+),(\d\d)(?![\d.,])", lambda m: re.sub("[. ]", "", m[1]) + "." + m[2], text
    )
    return _SPACED_GROUPS.sub(lambda match: match[0].replace(" ", ""), text)


def same_quantity(one: Quantity, other: Quantity) -> bool:
    """Equal values, with units and names that do not contradict each other.

    >>> same_quantity(Quantity(Fraction(72), ("apples",)), Quantity(Fraction(72)))
    True
    >>> same_quantity(Quantity(Fraction(72), ("hours",)), Quantity(Fraction(72), ("minutes",)))
    False
    """
    if one.value != other.value or (one.name and other.name and one.name != other.name):
        return False
    return units.same_units(one.unit, other.unit)


def _is_working(left: str) -> bool:
    """`48 + 24` in `48 + 24 = 72`: numbers and signs only, or nothing."""
    left = re.sub(r"(?<=\d)\s*x\s*(?=\d)", "*", left)
    return re.fullmatch(r"[\d\s.,$%+*/÷()=-]*", left) is not None


def _is_name(left: str) -> bool:
    return re.fullmatch(r"\s*[A-Za-z][A-Za-z ]*", left) is not None


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
    return _fraction(match["number"]) / _fraction(match["divisor"] or "1")


def _fraction(number: str) -> Fraction:
    return Fraction(re.sub(r"[^\d.]", "", number))


def _unit(currency: str, rest: str, *, single: bool) -> tuple[str, ...] | None:
    """The words after the number, or None where they are no unit."""
    spaced = re.sub(r"([/%])", r" \1 ", rest.rstrip(" \t\n.,;")).replace(" / ", " per ")
    spaced = re.sub(r"\bper cent\b", "percent", re.sub(r"\bpercentage points?\b", "percent", spaced))
    listed = ["%" if word == "percent" else word for word in spaced.split()]
    if len(listed) > 8 or not all(map(_UNIT_WORD.fullmatch, listed)) or not units.may_follow(listed, single=single):
        return None
    if listed and not _may_begin_unit(listed[0], touching=not rest[0].isspace()):
        return None
    money = _CURRENCIES.get(currency.lower().removeprefix("us") if "$" in currency else currency.lower())
    if money and not (listed and listed[0].startswith(money)):
        listed.insert(0, money)
    return tuple(listed)


def _may_begin_unit(word: str, *, touching: bool) -> bool:
    letters = re.sub(r"[^A-Za-z%\u00b5\u03bc\u03a9]", "", word)
    if touching:
        return letters.lower() in _TOUCHING or (len(letters) > 3 and letters.islower()) or letters in ("€", "F", "C")
    return len(letters) > 1 or letters in _ONE_LETTER or letters in ("%", "Ω")
