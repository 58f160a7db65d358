"""The last value of a free text: a number with all that it is a part of, a formula, or what the last sentence states.

Of `3-2`, `at least 6`, `2 or 3` and `1 in 6` the whole is read, for the last number alone is not what is said. Pure.
"""

import re

from grpo_job.rewards import choices, dates, quantities, sentences, words, written_out

_EUROPEAN = r"\d{1,3}(?:\.\d{3}){1,5},\d\d(?!\d)(?: ?€)?|\d+,\d\d(?!\d) ?€"
_GROUPED = r"\d+(?:\.\d+){2,}|\d{1,3}(?: \d{3})+(?![\d/])"
_LONGEST = 200  # characters of a date or a measure before its last number
# Not within a word or a power, nor an ordinal, nor a year, nor what is denied.
_NUMBER_IN_TEXT = re.compile(
    r"(?<![\w^)])(?<!\d[.,](?=\d))(?<!\b[Ii]n (?=(?:19|20)\d\d\b))(?<!\bmod )"
    r"(?>[-\u2212\u2013]?[$€£]?-?(?:\d+ (?=\d+/\d))?"
    rf"(?:{_EUROPEAN}|{_GROUPED}|{quantities.NUMBER}(?:,\d+)*)"  # `12,5` is one number or two, but not 5
    rf"(?: ?[½¼¾⅐-⅞]|/{quantities.NUMBER})?(?:[eE][-+]?\d+)?(?: (?:hundred|thousand|million|billion|trillion)\b)?)"
    r"(?!(?:st|nd|rd|th)\b|[万萬亿億만억])"
)
# What makes another of the number beside it: a bound, a part, a denial, a question, or what is still to be done.
_QUALIFIED = re.compile(
    r"\b(?:at (?:least|most)|than|over|under|above|below|between|almost|nearly|half|twice|double|triple"
    r"|(?:could|might|may) be|maybe|perhaps|per|page|step|version|negative|minus|plus|times) $"
    rf"|(?:[\d.]{{1,9}}(?: ?%| per ?cent)?|\b(?:root|power|{'|'.join(words.PARTS)})) of (?:the )?$",
    re.IGNORECASE,
)
_QUALIFIES = re.compile(
    r"\?| (?:squared|cubed|factorial|or (?:more|less|fewer|so)|(?:is|are|was) (?:not|wrong|incorrect))\b"
    r"|\s*[-+*/×÷=]\s*$"
)
_MATH = re.compile(
    r"\$\$([^$]{1,300})\$\$|\$(?=\S)((?:[^$\\]|\\.){0,299}?(?:[^$\\\s]|\\.))\$(?!\d)|\\\((.{1,300}?)\\\)|\\\[(.{1,300}?)\\\]",
    re.DOTALL,
)
_COMMAND = re.compile(r"\\(?![()\[\]$%#&])|\^")  # of LaTeX, but no sign around math
_MEASURES = re.compile(rf"(?<![\w.,]){quantities.COMPOUND.pattern}")
_OPEN_BRACKET = re.compile(rf"[(\[{{](?!{quantities.NUMBER}$)[^()\[\]{{}}A-Za-z]*,[^()\[\]{{}}A-Za-z,]*$")
_NAMED = r"(?:[a-z] ?= ?)?"
_BEFORE = rf"\$?{_NAMED}[-\u2212]?[$€£]?{quantities.NUMBER}(?:/\d+)?\$?"
_JOINED = re.compile(  # `2x + 1`, `x > 3`; `3:4`, `1 in 6`, `2 or 3`, `1, -2 and 3`
    r"(?<![A-Za-z<])(?=[^A-Za-z]*[A-Za-z])(?:[A-Za-z0-9]{1,3}\s?[-+*/<>≤≥]=?\s?)+$"
    rf"|(?<![\w.,/])(?:(?:{_BEFORE}(?:, |:| : ))*{_BEFORE}"
    rf"(?::| : |\s?±\s?| in | out of |,? \(?(?:or|to|and) \$?{_NAMED}|, [a-z] ?= ?)|(?:{_BEFORE}, ){{2,}})$"
)
_WORD_BEFORE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}:?\s|[,;:.]\s|\n")


def last_value(text: str) -> str | None:
    """The last number with what it is a part of, or the last formula, or what a text without either states.

    >>> last_value("48 + 24 = 72"), last_value("It takes 5-7 days.")
    ('72', '5-7')
    """
    number, formula = last(_NUMBER_IN_TEXT, text), _last_formula(text)
    if formula and (number is None or number.start() < formula[1]):
        return formula[0]
    return _whole(number, text) if number else _last_sentence(text)


def _whole(number: re.Match[str], text: str) -> str:
    start = max(0, number.start() - _LONGEST)
    near = text[start:]
    measured = last(_MEASURES, near)
    for whole in (dates.last(near), measured if measured and quantities.quantity(measured[0]) else None):
        if whole and number.end() <= start + whole.end():
            return whole[0]
    before, behind = text[max(0, number.start() - written_out.REACH) : number.start()], text[number.end() :]
    if behind[:1] in ")]}" and (opening := _OPEN_BRACKET.search(before + number[0])):
        return opening[0] + behind[:1]
    if algebra := written_out.around(text, number.start(), number.end()):
        return algebra
    if joined := _JOINED.search(before):
        return (joined[0] + number[0]).replace("$", "")
    around = _QUALIFIED.search(before), _QUALIFIES.match(behind)
    return number[0].join(match[0] if match else "" for match in around)


def _last_sentence(text: str) -> str | None:
    """What the last line of a text without numbers chooses, or its last sentence states."""
    line = text.strip().rpartition("\n")[2]
    if choices.letter_and_text(line) or words.verdict(line):
        return line
    sentence = re.split(r"(?<=[.!?])\s+|\n", text.strip())[-1]
    if re.fullmatch(r"[A-Za-z]{1,20}\.?", sentence):
        return sentence
    return next(reversed(sentences.readings(sentence)), None)


def _last_formula(text: str) -> tuple[str, int] | None:
    """The last inline math or piece of LaTeX outside of it, and where it ends."""
    found = None
    for match in _MATH.finditer(text):
        content = "".join(part or "" for part in match.groups()).strip()
        if "\\begin" not in content:
            content = content.rpartition("\n")[2]  # of steps, the last
        if _is_formula(content):
            found = content, match.end()
    command = last(_COMMAND, text)
    mark = command.start() if command else -1
    if mark < 0 or (found and mark < found[1]):
        return found
    before = text[max(0, mark - 300) : mark]
    start = mark - len(before)
    if word := last(_WORD_BEFORE, before):
        start += word.end()
    ending = re.compile(r"[\n,;]|\.(?!\d)").search(text, mark)
    end = ending.start() if ending else len(text)
    formula = text[start:end].strip().strip("*$")
    return found if "boxed" in formula else (formula, end)


def _is_formula(content: str) -> bool:
    """Whether it is more than a number, and no text between two prices."""
    if re.search(r"[\\^]", content):
        return True
    return not re.search(r"[A-Za-z]{2}", content) and quantities.quantity(content) is None


def last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return max(pattern.finditer(text), key=re.Match.start, default=None)
