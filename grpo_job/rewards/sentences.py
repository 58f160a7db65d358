r"""The one answer that a sentence states: in a box, behind `####`, in inline math, behind "is", or its only number.

A sentence that offers a choice, denies, hedges or asks states nothing.
"""

import json
import re

from grpo_job.rewards import claims, latex, quantities, words

_CORRECTED = re.compile(r"~~[^~]{1,100}~~|not (\S{1,40}),? but (?=\S)", re.IGNORECASE)
BOLD = re.compile(r"(?<!\w)\*\*(\S[^*]*)\*\*(?!\w)")
_MONTH = re.compile(r"(?<=[a-z] )May\b")  # no "may"
_MATH = re.compile(
    r"(?<![\\$\w])\$(?=[^\s$])([^$\n]{0,199}[^\s$\\])\$(?![\d$])"
    r"|\\\((.{1,200}?)\\\)|\\\[(.{1,200}?)\\\]",
    re.DOTALL,
)
_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore),? )?(?:the |my |our )?(?:[a-z]+ ){0,3}"
    r"(?:answer|total|result|solution|sum|value|cost|price|area|number)(?: of [a-z ]{1,40}?)?\s*"
    r"(?:(?:is|are|was|equals|=):?|:)\s*(?P<rest>\S.*)"
    r"|(?:so |thus |hence |therefore |in all |altogether )?,?"
    r"(?:it|he|she|they|we|there|this|that|(?:the|his|her|their|its) [a-z' -]{1,60}?) "
    r"(?:is|are|was|were|equals|will be) (?P<predicate>\S.{0,80})"
    r"|[a-z]{2,}(?:[ _][a-z]+){0,2}:[ \t]+(?P<labelled>\S(?:[^:\n]|(?<=\d):(?=\d))*)",  # `Sentiment: positive`
    re.IGNORECASE | re.DOTALL,
)
_DENIED = "not|no|never|wrong|incorrect|if|question|except|guess"
_DENIAL = re.compile(rf"\b(?:{_DENIED}|false|other|another|opposite|example|hint|\w+n['’]t)\b", re.IGNORECASE)
_NO_STATEMENT = re.compile(
    rf"\b(?:{_DENIED}|nor|or|either|neither|maybe|perhaps|possibly|probably|might|may|could|would|should|cannot|"
    r"chapter|section|figure|exercise|room|option|version|step|page|line|problem|case|"
    r"unless|than|least|most|over|under|above|below|up to|between|from|without|almost|"
    rf"{'|'.join(words.PARTS)}|twice|thrice|double|triple|plus|minus|times|squared|cubed|divided|"
    r"nearly|multiplied|raised|through|until|closer? to|versus|vs|power|base|mod|root|factorial|minimum|maximum|"
    r"sure|think|per|every|how|what|which|negative|ratio|sin|cos|tan|log)\b|n['’]t\b|[?~<>≤≥≠±|^_*+=/]|\\[a-zA-Z]|\d\s*[-\u2013:]\s*\d",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?<![\w.,/:-])(?:[-\u2212](?=\d))?[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
    r"(?P<rest>\s?[%$€£₹¥¢Ω]|\s?°\s?(?:[CF]\b)?|(?!\s[%$€£₹¥¢Ω°])(?:\s(?:thousand|million|billion|hundred))?"
    r"(?:[\s-](?:(?:sq|cu)\. ?)?[A-Za-zµμ]+[²³]?){0,2})(?![\w/:^!'\"°]|-(?!\w))"
)


def readings(text: str) -> list[str]:
    r"""What else the text states as its one answer; empty when it is none or several.

    >>> readings(r"So the answer is \boxed{72}"), readings("Natalia sold 72 clips in total."), readings("72 or 73")
    (['72'], ['72 clips'], [])
    """
    if len(text) > quantities.LONGEST:
        return []
    text = latex.apart(text)
    boxed = latex.boxes(text)
    if boxed:
        return boxed[:1] if len(set(boxed)) == 1 else []
    if "####" in text:
        parts = text.split("####")
        return [_stated(parts[1].strip())] if len(parts) == 2 and "\n" not in parts[1].strip() else []
    whole, text = text.strip(), claims.stated(_CORRECTED.sub("", text)).strip()
    plain = BOLD.sub(r"\1", text)
    found = [text, plain, _stated(plain), *_of_json(text), *_only_math(text), *_only_number(text)]
    return [reading for reading in dict.fromkeys(found) if reading and reading != whole]


def _stated(text: str) -> str:
    match = _LEAD.fullmatch(text)
    if match is None:
        return text
    stated = match["rest"] or match["predicate"] or match["labelled"]
    return text if _DENIAL.search(text.removesuffix(stated)) else stated


def _of_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(value, dict) or len(value) != 1:
        return []
    (only,) = value.values()
    return [str(only)] if isinstance(only, str | int | float) and not isinstance(only, bool) else []


def _only_math(text: str) -> list[str]:
    found = _MATH.findall(text)
    outside = _MATH.sub(" ", text)
    if len(found) != 1 or re.search(r"[\d$\\]", outside) or words.NUMBER_WORD.search(outside):
        return []
    return [] if _NO_STATEMENT.search(outside.replace("=", "")) else ["".join(found[0])]


def _only_number(text: str) -> list[str]:
    text = _word_in_digits(text.replace("**", ""))
    found = list(_NUMBER.finditer(text))
    if len(found) != 1 or _NO_STATEMENT.search(_MONTH.sub("", text)) or "\n" in text.strip():
        return []
    outside = text[: found[0].start()] + " " + text[found[0].end() :]
    if re.search(r"\d", outside) or words.NUMBER_WORD.search(outside):
        return []
    return [_shortest(found[0])]


def _word_in_digits(text: str) -> str:
    """The first number word in digits, where there are no digits; `one` is mostly none."""
    word = None if re.search(r"\d", text) else words.NUMBER_WORD.search(text)
    if word is None or word[0].lower() == "one":
        return text
    return text[: word.start()] + words.with_digits(text[word.start() :])


def _shortest(match: re.Match[str]) -> str:
    """The number and the noun behind it; a verb or a preposition there belongs to the sentence."""
    number, rest = match[0][: match.start("rest") - match.start()], match["rest"]
    kept: list[str] = []
    if rest.strip() == "in" and not match.string[match.end() :].strip(" ."):
        return match[0]  # inches
    for word in rest.split():
        if word.lower() in _SENTENCE_WORDS and word != "A":  # amperes
            break
        kept.append(word)
    return number + (rest if rest.strip()[:1] in set("%$€£₹¥¢Ω°") else "".join(" " + word for word in kept))


_SENTENCE_WORDS_LISTED = """in of for on at to with and is are was were has have had left more total altogether a an the
    each by after before that when as will can because so now all remaining during who which it
    he she they we"""
_SENTENCE_WORDS = frozenset(_SENTENCE_WORDS_LISTED.split())
