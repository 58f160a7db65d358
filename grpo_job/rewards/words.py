"""Answers in words: numbers and fractions, yes and no, and a text's spelling where capitals may matter."""

import re

_ONES_LISTED = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_ONES = _ONES_LISTED.split()
_TENS = str.split("twenty thirty forty fifty sixty seventy eighty ninety")
SMALL = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4} | {
    part + end: divisor
    for divisor, part in enumerate(str.split("third fourth fifth sixth seventh eighth ninth tenth"), start=3)
    for end in ("", "s")
}
_WORD = "|".join((*SMALL, "hundred", *_SCALES))
_PART = "|".join(sorted(PARTS, key=len, reverse=True))
_COUNT = rf"(?:an? (?=hundred|thousand|million|billion))?(?:{_WORD})(?:(?:-| | and )(?:{_WORD})\b)*"
NUMBER_WORD = re.compile(rf"\b(?:{_WORD})\b", re.IGNORECASE)
_LEADING = re.compile(
    rf"(?P<sign>(?:minus|negative) )?(?:(?P<count>{_COUNT})(?![a-z])(?P<half> and a half\b)?"
    rf"(?:[ -](?P<parts>{_PART})\b)?|(?P<one>(?:an? )?half|an? (?:{_PART}))\b)(?! dozen)(?: an?\b)?(?![\w])",
    re.IGNORECASE,
)
_CHEMICAL = re.compile(r"(?=.*\d)(?:[A-Z][a-z]?(?:_?\d+|_\{\d+\})?)+")
_SYMBOLS = re.compile(r"(?:[A-Z][a-z]?){2,}")  # of elements: NaCl
_VERDICT = re.compile(
    r"(yes|no|true|false)(?:[.!]|[.!,;:]\s+(?P<rest>.{1,300})|\s+[-\u2014]\s+(?P<more>.{1,300}))?", re.I | re.S
)
_SAME_VERDICT = {"yes": r"yes|true", "no": r"no|false|not|cannot|\w+n['’]t"}
_SAME_VERDICT |= {"true": _SAME_VERDICT["yes"], "false": _SAME_VERDICT["no"]}


def _value(text: str) -> int | None:
    """Of number words in a row, where they make one number: `two hundred and five`, not `five six`."""
    total = group = 0
    for word in re.split(r"[\s-]+", text.lower()):
        if word in SMALL:
            if (SMALL[word] == 0 and (total or group)) or (
                group % 100 and (group % 10 or group % 100 < 20 or SMALL[word] > 9)
            ):
                return None
            group += SMALL[word]
        elif word == "hundred":
            group = 100 * (group or 1)
        elif word in _SCALES:
            total, group = total + (group or 1) * _SCALES[word], 0
    return total + group


def with_digits(text: str) -> str:
    """The text with the number in words at its beginning in digits.

    >>> [with_digits(text) for text in ("seventy-two clips", "two thirds", "one and a half", "tennis")]
    ['72 clips', '2/3', '1 1/2', 'tennis']
    """
    match = _LEADING.match(text)
    if match is None:
        return text
    rest = text[match.end() :]
    value = _value(match["count"]) if match["count"] else 1
    if value is None or NUMBER_WORD.match(rest.lstrip(" -")):
        return text
    if part := match["parts"] or match["one"]:
        digits = f"{value}/{PARTS[part.split()[-1].lower()]}"
    else:
        digits = f"{value}{' 1/2' if match['half'] else ''}"
    return f"{'-' if match['sign'] else ''}{digits}{rest}"


def verdict(text: str) -> str | None:
    """`yes`, `no`, `true` or `false` where the text begins with it and does not take it back.

    >>> verdict("Yes, she can."), verdict("Yes, or no.")
    ('yes', None)
    """
    match = _VERDICT.fullmatch(text.strip())
    if match is None:
        return None
    rest = re.sub(rf"\b(?:{_SAME_VERDICT[match[1].lower()]})\b", "", match["rest"] or match["more"] or "", flags=re.I)
    if re.search(r"\b(?:or|no|not|yes|true|false|maybe|but|unless|\w+n['’]t|cannot|never|wrong)\b|\?", rest, re.I):
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
    if _CHEMICAL.fullmatch(left) and _CHEMICAL.fullmatch(right):
        return re.sub("[_{}]", "", left) == re.sub("[_{}]", "", right)
    if left.casefold() != right.casefold():
        return False
    pairs = zip(re.findall(r"[^\W\d_]+", left), re.findall(r"[^\W\d_]+", right), strict=False)
    alone = not re.search(r"\d", left)  # 12a and 12A are two labels
    return all(_harmless(a, b, alone=alone) for a, b in pairs)


def _spelling(text: str) -> str:
    text = re.sub(r" ?([^\w ]) ?", r"\1", " ".join(text.split())).rstrip(".")
    text = re.sub(r"(?<=\d) to (?=\d)", "-", text)
    text = re.sub(r"(?<=[A-Z\d}]) (?=[A-Z])", "", text) if "_" in text else text
    return re.sub(r"^(?:the|an?|on|at|in) (?=\w\w)", "", text, flags=re.IGNORECASE)


def _harmless(one: str, other: str, *, alone: bool) -> bool:
    """Capitals of a sentence, a heading or a choice; `Co` and `CO`, `pH` and `PH` are two things."""
    if one == other:
        return True
    if len(one) == 1:
        return alone and one.lower() in "abcdefghij"
    if len(one) == 2 and (one.isupper() or other.isupper()):
        return one.lower() in ("no", "ok")
    if any(_SYMBOLS.fullmatch(word) and not word.isupper() for word in (one, other)):
        return False
    ordinary = [word.islower() or word.isupper() or word.istitle() for word in (one, other)]
    return all(ordinary) or (len(one) > 3 and (one.islower() or other.islower()))
