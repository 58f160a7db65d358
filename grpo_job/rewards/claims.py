"""Leaves out of a text what does not state its answer, so that the last value left is the one stated.

An aside in brackets, a footnote, the number of a step; a sentence that denies, doubts, asks or offers; and behind the
value of the last sentence its reason, its parts, or what it is counted in. Pure.
"""

import re
from itertools import pairwise

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
    r"\?\W*$|^\((?=[^()]*[A-Za-z]{2})[^()]*\)$|\bmistake\b|^\W*(?:\[\d+\] \w|¹|"
    r"(?:note|if (?:you|instead)|let me know|feel free|p\.?s|check|verif\w+|confidence|this assumes|i hope)\b)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:] | (?:so|but) (?=\w)")
_DENIAL = re.compile(r"\b(?:not|never|cannot|wrong to|\w+n['’]t)\b.*\d", re.IGNORECASE)
_PLAIN = r"(?!.*(?:\b(?:so|thus|hence|therefore|total|altogether|answer|is|are|was|left|gives?|makes?)\b|=))"
_EXPLAINED = re.compile(
    rf"(?:(?<== )(?P<result>))?(?P<value>(?=.?(?P<price>[$€£]))?{_VALUE})[%°$]?\**(?: [A-Za-z$'’-]+){{0,5}}?"
    rf"(?P<behind>,? (?:because|since|including|instead of|rather than|whereas|of which) |, not "
    rf"|(?P<parts>: | [-–—] |, with ){_PLAIN}"
    rf"| (?(price)|(?(result)|(?<!\d )))(?:for|over|by|from|after|within|at|in|(?(result)to|during)) {_PLAIN}[^,;]*$)"
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
    for start, end in reversed(list(pairwise(ends))):
        start = max(start, end - quantities.LONGEST)
        sentence = _ASIDE.sub("", text[start:end])
        if not re.search(r"\d", sentence):
            continue
        if not _STATES_NOTHING.search(sentence.strip()):
            sentence = _undenied(_unexplained(sentence))
            if re.search(r"\d", sentence):
                return text[:start] + sentence + text[end:]
        text = text[:start]
    return text


def _undenied(sentence: str) -> str:
    """Without its last clause that has a number, where that denies it."""
    clauses = [0, *(match.start() for match in _CLAUSE.finditer(sentence)), len(sentence)]
    for start, end in reversed(list(pairwise(clauses))):
        if re.search(r"\d", sentence[start:end]):
            return sentence[:start] if _DENIAL.search(sentence, start, end) else sentence
    return sentence


def _unexplained(sentence: str) -> str:
    """Up to the first value that is not itself a count of something, where a reason or its parts follow it."""
    for match in _EXPLAINED.finditer(sentence):
        value, *parts = map(quantities.fraction, [match["value"], *re.findall(_VALUE, sentence[match.end() :])])
        adds_up = not match["parts"] or (len(parts) > 1 and sum(parts) == value)
        if adds_up and not _COUNTED_IN.search(sentence[: match.start()]):
            return sentence[: match.start("behind")]
    return sentence
