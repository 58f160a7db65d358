r"""Are two answers the same. Cheapest first: as text, as JSON, as a number, by the form that one has, by algebra.

A sum that is still to be done (`48 + 24` for 72) is not an answer; scores, dates and phone numbers are no sums.
Each judge answers True, False, or None where the texts are not of its kind.
"""

import re
from fractions import Fraction

from grpo_job.rewards import choices, dates, latex, lists, quantities, relations, structured, units, words
from grpo_job.rewards.symbolic import is_working, same_equation, same_expression

_NAMED = re.compile(r"(?:[a-zA-Z]|[a-zA-Z]\([a-zA-Z]\)|[a-zA-Z]_\{?\w\}?)\s*=\s*(?P<value>[^=]+)")
# `(x, y) = (1, 2)` and `x \\in \\{1, 2\\}` say only the values
_OF_LETTERS = re.compile(r"\(\s*[a-z]\s*(?:,\s*[a-z]\s*){1,3}\)\s*=\s*(?=[(\[])|[a-z]\s*\\in\s*(?=\\?\{)")
_SAYS = {"yes": True, "true": True, "no": False, "false": False}
_SEMICOLON = re.compile(r"^([(\[][^,;]*);(?=[^,;]*[)\]]$)")
_UNIT_IN_MATH = re.compile(r"(\$?)(-?[\d.,]*\d)\1(\s?[A-Za-z]{0,4}\s?)\$([\\^A-Za-z][^$]*)\$(\s?[A-Z]?)")  # 5 m$^2$
_RESULT = re.compile(r"(?P<before>.*)(?:=|\\approx )(?P<result>[^=]+)")
_UNFINISHED = re.compile(r"[\d\s.+*/()-]+")
_ANSWER_IS = re.compile(r"^(?:(?:the )?(?:final )?answer(?: is:?|:| =)|=(?=\s*[^\s=]))\s*", re.IGNORECASE)
_SYMBOLS = tuple(
    (re.compile(said, re.IGNORECASE), symbol)
    for said, symbol in (
        (r"(?:the )?(?:set of )?(?:all )?real(?: number)?s", r"\mathbb{R}"),
        (r"(?:the )?(?:set of )?(?:all )?integers", r"\mathbb{Z}"),
        (r"(?:the )?empty set|\\?\{\s*\\?\}", r"\emptyset"),
        (r"(?:positive )?infinity", r"\infty"),
        (r"(?:negative |minus |-)infinity", r"-\infty"),
    )
)


def equal(given: str, gold: str) -> bool:
    r"""Whether two answers are the same: as text, as numbers, or by algebra.

    >>> equal("$1,000.00", "1000"), equal("72 apples", "72"), equal(r"\frac{2}{3}", "2/3")
    (True, True, True)
    >>> equal("0.6667", "2/3"), equal("48 + 24", "72"), equal("72 or 73", "72")
    (False, False, False)
    """
    given, gold = structured.unfenced(given), structured.unfenced(gold)
    if given.strip() == gold.strip():
        return True
    verdict = structured.same_document(given, gold, equal)
    if verdict is not None:
        return verdict
    if max(len(given), len(gold)) > quantities.LONGEST:
        return False
    given, gold = _bare(given), _bare(gold)
    if not given or not gold:
        return False
    if words.same_text(given, gold):
        return True
    for judge in (_by_words, _by_base, _by_clock, _by_number, _by_ratio, _by_form):
        verdict = judge(given, gold)
        if verdict is not None:
            return verdict
    return _by_algebra(given, gold)


def _bare(text: str) -> str:
    text = latex.unwrap(_ANSWER_IS.sub("", lists.in_one_line(text.strip()), count=1))
    if in_math := _UNIT_IN_MATH.fullmatch(text):
        text = "{1}{2}{3} {4}".format(*in_math.groups())
    text = latex.unwrap(latex.spelled_alike(text))
    text = _result(_SEMICOLON.sub(r"\1,", _OF_LETTERS.sub("", text)))
    return next((symbol for said, symbol in _SYMBOLS if said.fullmatch(text)), text)


def _result(text: str) -> str:
    """`25` of `5^2 = 25`, and `A = 25` of `A = 5^2 = 25`: what is worked out of numbers alone."""
    match = _RESULT.fullmatch(text)
    if match is None:
        return text
    name, _, working = match["before"].rpartition("=")
    if not is_working(working):
        return text
    return f"{name.partition('=')[0]}= {match['result']}" if name else match["result"].strip()


def _by_words(given: str, gold: str) -> bool | None:
    one, other = words.verdict(given), words.verdict(gold)
    return _SAYS[one] == _SAYS[other] if one and other else choices.same_choice(given, gold, equal)


def _by_base(given: str, gold: str) -> bool | None:
    one, other = relations.in_base(given), relations.in_base(gold)
    return one == other if one or other else None


def _by_clock(given: str, gold: str) -> bool | None:
    """What is surely a date or a time of day equals nothing else; `6 pm` may be 6."""
    for read in (dates.date, dates.minutes):
        one, other = read(given), read(gold)
        if one is not None and other is not None:
            return one == other
        if any(value is not None and re.search(r"[:/-]|\d{4}", text) for value, text in ((one, given), (other, gold))):
            return False
    return None


def _by_number(given: str, gold: str) -> bool | None:
    one, other = quantities.quantity(given), quantities.quantity(gold)
    return quantities.same_quantity(one, other) if one and other else None


def _by_ratio(given: str, gold: str) -> bool | None:
    one, other = relations.ratio(given), relations.ratio(gold)
    if not (one or other):
        return None
    values = [sides or _fraction(text) for sides, text in ((one, given), (other, gold))]
    return values[0] is not None and values[0] == values[1]


def _fraction(text: str) -> list[Fraction] | None:
    read = quantities.quantity(text) if "/" in text or "frac" in text else None
    return [read.value, Fraction(1)] if read else None


def _by_form(given: str, gold: str) -> bool | None:
    """Matrices, regions and lists: what is of such a form equals only what is of the same."""
    rows, others = relations.matrix(given), relations.matrix(gold)
    if rows or others:
        return bool(rows and others and relations.same_matrix(rows, others, equal))
    one, other = relations.region(given), relations.region(gold)
    if (one and one.certain) or (other and other.certain):
        return bool(one and other and relations.same_region(one, other, equal))
    several, more = (None if quantities.quantity(text) else lists.several(text) for text in (given, gold))
    if several or more:
        return lists.same_elements(several, more, equal)
    return None


def _by_algebra(given: str, gold: str) -> bool:
    if "=" in given and "=" in gold:
        one, other = given.split("="), gold.split("=")
        if len(one) == len(other) == 2:
            return same_equation((one[0], one[1]), (other[0], other[1]))
        return False
    named, other_named = _NAMED.fullmatch(given), _NAMED.fullmatch(gold)
    if named or other_named:
        return equal(named["value"] if named else given, other_named["value"] if other_named else gold)
    one_number, other_number = quantities.quantity(given), quantities.quantity(gold)
    # Against a number only powers and roots go on to algebra: `48 + 24` is the working, not the answer.
    if (one_number and not _needs_algebra(gold)) or (other_number and not _needs_algebra(given)):
        return False
    measured, gold_measured = quantities.with_unit(given), quantities.with_unit(gold)
    if measured or gold_measured:
        (left, unit), (right, gold_unit) = measured or (given, ()), gold_measured or (gold, ())
        return units.same_units(unit, gold_unit) and equal(left, right)
    if _UNFINISHED.fullmatch(given) and _UNFINISHED.fullmatch(gold) and _numbers(given) != _numbers(gold):
        return False  # two products of one number, such as its prime factors and `1 * 30`
    return same_expression(_exact(one_number) or given, _exact(other_number) or gold)


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"[\d.]+", text))


def _exact(read: quantities.Quantity | None) -> str:
    """The value of a number without unit, in digits that a formula may have: not `1,024`."""
    return str(read.value) if read and not read.unit else ""


def _needs_algebra(answer: str) -> bool:
    return re.search(r"[\\^√²³]|sqrt", quantities.plain(answer)) is not None
