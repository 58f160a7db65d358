"""Leaves out of a text what does not state its answer, so that the last value left is the one stated.

An aside in brackets, a footnote, the number of a step; a sentence that denies, doubts, asks or offers; and behind the
value of the last sentence its reason, its parts, or what it is counted in. Pure.
"""

import re

from grpo_job.rewards import quantities

_VALUE = rf"(?<![\w.,/^])[-\u2212]?[$€£]?{quantities.NUMBER}(?![\d/^])"
_MARKER = re.compile(r"^[ \t]*(?:step )?\d{1,2}[.):] +(?=\S)", re.IGNORECASE | re.MULTILINE)
_FIRST_MARKER = re.compile(r"^[ \t]*(?:step )?1[.):] ", re.IGNORECASE | re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])[*)\"”]*\s+(?=[A-Z(\[*$¹])|\n+")
_ASIDE = re.compile(  # `72 clips (48 in April)`, but not `72 (or 73)`, `3 (mod 5)`, `a and b (48 + 24 = 72)`
    r"(?<=[\w%°*$.,]) ?[(\[](?!or\b|mod\b|base\b|[A-J]\))(?![^()\[\]]*(?:\d\)? ?=|\btotal\b))"
    r"(?=[^()\[\]]*(?:[A-Za-z]{2}|\d [-+*×x/÷] )|[\d.,]+[ °][A-Za-z]+[)\]])[^()\[\]\\]*[)\]](?=[\s.,;:!*]|$)"
)
_STATES_NOTHING = re.compile(
    r"\?\W*$|^\((?=[^()]*[A-Za-z]{2})[^()]*\)$|\bmistake\b"
    r"|^\W*(?:\[\d+\] \w|¹|(?:note|if (?:you|instead)|let me know|feel|p\.?s|check|verif\w+|confidence|this assumes|i hope)\b)",
    re.IGNORECASE,
)
_DENIED = re.compile(  # the last clause
    r"(?:^|[,;:] |\b(?:so|but) )(?:(?!(?:[,;:]| so| but) )[^\n])*"
    r"\b(?:not|never|cannot|wrong to|\w+n['’]t)\b(?:(?!(?:[,;:]| so| but) )[^\n])*\d(?:(?!(?:[,;:]| so| but) )[^\n])*$",
    re.IGNORECASE,
)
_CONCLUDES = r"(?!.*(?:\b(?:so|thus|hence|therefore|total|altogether|answer|is|are|was|left|gives?|makes?)\b|=))"
_EXPLAINED = re.compile(
    rf"(?P<value>(?=.?(?P<price>[$€£]))?{_VALUE})[%°$]?\**(?: [A-Za-z$'’-]+){{0,5}}?"
    rf"(?P<behind>,? (?:because|since|including|instead of|rather than|whereas|of which) |, not "
    rf"|(?P<parts>: | [-–—] |, with ){_CONCLUDES}"
    rf"| (?(price)|(?<!\d ))(?:for|over|by|from|after|within|during|at|in) {_CONCLUDES}(?!(?:the )?end)(?=[^,;]*\d)[^,;]*$)"
)
_COUNTED_IN = re.compile(
    r"\b(?:in|of|for|over|by|from|after|within|during|at|with|than|each|every)(?: [A-Za-z'’-]+){0,1} $", re.IGNORECASE
)


def stated(text: str) -> str:
    """The text up to what it states.

    >>> stated("She sold 72 clips (48 in April and 24 in May)."), stated("I don't think it is 70.")
    ('She sold 72 clips.', '')
    >>> stated("He earned $10 for 50 minutes. Does that help with number 3?")
    'He earned $10'
    """
    if _FIRST_MARKER.search(text):
        text = _MARKER.sub("", text)
    ends = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    for start, end in reversed(list(zip(ends, ends[1:], strict=False))):
        sentence = _ASIDE.sub("", text[start:end])
        if not re.search(r"\d", sentence):
            continue
        if not _STATES_NOTHING.search(sentence.strip()):
            sentence = _DENIED.sub("", _unexplained(sentence))
            if re.search(r"\d", sentence):
                return text[:start] + sentence + text[end:]
        text = text[:start]
    return text


def _unexplained(sentence: str) -> str:
    for match in _EXPLAINED.finditer(sentence):
        if _COUNTED_IN.search(sentence[: match.start()]):
            continue
        numbers = [_number(each) for each in re.findall(_VALUE, sentence[match.end() :])]
        if not match["parts"] or (len(numbers) > 1 and sum(numbers) == _number(match["value"])):
            return sentence[: match.start("behind")]
    return sentence


def _number(value: str) -> float:
    return float(re.sub(r"[^\d.]", "", value) or 0)
