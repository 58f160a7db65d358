r"""Splits an answer that is several values: `(1, 2)`, `[0, \frac{1}{2})`, `\{1, 2\}`, `1, 2`."""

import re
from collections.abc import Callable

LONGEST, MOST_ELEMENTS = 120, 20

_JOINED = re.compile(r"\s*,?\s+(?:and|or|&)\s+|\s*;\s*")
ORDERED = "<"  # in place of brackets: a list without any whose order counts
_IN_ORDER = re.compile(
    r"\s*\(?\bin (?:this |that |ascending |descending |alphabetical )?order\b:?\)?:?\s*", re.IGNORECASE
)
_ASKED = re.compile(  # what a question says that wants values in an order, but `in order to` and `what sort of`
    r"\b(?:sort(?:ed|ing)?|alphabeti[sz]e)\b(?! (?:of|out)\b)"
    r"|\b(?:(?:re)?arrange|order|rank|reverse) (?:the|these|them|this|following|all|each)\b"
    r"|\bin (?!(?:any|no|some|either|whatever) )(?:[a-z-]+ ){0,3}order\b(?! (?:to|that|of)\b)"
    r"|\bfrom (?:the )?(?:least|\w+est|low|high) to (?:the )?(?:most|\w+est|high|low)\b",
    re.IGNORECASE,
)
_ANY_ORDER = re.compile(r"\bin (?:any|no particular|whatever) order\b", re.IGNORECASE)
_OF_A_SET = re.compile(r"[{}]|\bor\b")
_THEN = re.compile(r"\s*,?\s+(?:and )?then\s+|\s*(?:->|\\to(?![a-z]))\s*")
_LETTER = r"[^\W\d_]"
_WORD = rf"(?={_LETTER}(?:[a-z'-]|{_LETTER}{{2}})){_LETTER}(?:{_LETTER}|['-])*"  # not `AB, CD`, which are sides
_NAME = rf"{_WORD}(?: {_WORD}){{0,3}}"
_NAMES = re.compile(rf"{_NAME}(?:\s*,\s*(?:and )?{_NAME}){{1,19}}")
_ITEM = re.compile(r"[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]+(?P<item>[^\s,][^\n,]*?)[.;]?\s*")
_QUOTED = r"""(["'])[^"',\[\]]+\{}"""  # lists of texts are as JSON and Python print them
_TEXTS = re.compile(rf"\[\s*{_QUOTED.format(1)}(?:\s*,\s*{_QUOTED.format(2)})+\s*\]")
_ONE_TEXT = re.compile(r"""\[\s*(["'])(?P<only>[^"']+)\1\s*\]""")
_MEMBER_NAME = re.compile(r"[a-zA-Z]\s*=\s*")


def in_one_line(text: str) -> str:
    r"""A list in lines with signs or numbers, or of quoted texts, with commas; any other text as it is.

    >>> in_one_line("- Paris\n- Rome"), in_one_line("['Paris', 'Rome']"), in_one_line("['Paris']")
    ('Paris, Rome', 'Paris, Rome', 'Paris')
    """
    if alone := _ONE_TEXT.fullmatch(text.strip()):
        return alone["only"].replace("\\\\", "\\")
    if _TEXTS.fullmatch(text.strip()):
        return re.sub(r"[\[\]\"']", "", text).strip()
    items = [_ITEM.fullmatch(line) for line in text.splitlines() if line.strip()]
    found = [item["item"] for item in items if item]
    return ", ".join(found) if len(items) == len(found) > 1 else text


def elements(text: str) -> tuple[str, list[str]] | None:
    r"""The brackets and what stands between the commas; None when the text is not several values.

    >>> elements(r"[0, \frac{1}{2})")
    ('[)', ['0', '\\frac{1}{2}'])
    >>> elements("(1,2) and (3,4)") is None
    True
    """
    if len(text) > LONGEST:
        return None
    text = re.sub(r"\\(?:left|right)(?![a-zA-Z])", "", text).replace(r"\{", "{").replace(r"\}", "}").strip()
    brackets = ""
    if text[:1] in set("([{") and text[-1:] in set(")]}"):
        brackets, text = text[0] + text[-1], text[1:-1]
    parts = _split(text)
    if parts is None or not 2 <= len(parts) <= MOST_ELEMENTS or not all(parts):
        return None
    return brackets, parts


def _split(text: str) -> list[str] | None:
    """The parts between commas outside of all brackets; None when the brackets do not balance."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return None
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts] if depth == 0 else None


def same_elements(
    one: tuple[str, list[str]] | None, other: tuple[str, list[str]] | None, equal: Callable[[str, str], bool]
) -> bool:
    """Whether both are lists in the same brackets with equal elements; sets and bare lists of values in any order."""
    if one is None or other is None or len(one[1]) != len(other[1]):
        return False
    brackets = {one[0], other[0]}
    if len(brackets) > 1 and brackets != {"", ORDERED}:
        return False
    if not brackets <= {"", "{}"}:
        return all(map(equal, one[1], other[1]))
    left = list(other[1])
    for element in one[1]:
        match = next((candidate for candidate in left if equal(element, candidate)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def several(text: str) -> tuple[str, list[str]] | None:
    r"""As `elements`, also where words, names or a sign join the values: `x = 1 or x = 2`, `1 \pm \sqrt{3}`.

    Braces of a set count for nothing. Different names before the values make them a pair, in that order.

    >>> several(r"\pm 2"), several("x=1, y=2"), several("{1, 2}")
    (('', ['2', '-2']), ('()', ['1', '2']), ('', ['1', '2']))
    """
    if text.count("\\pm") == 1 and "," not in text:
        left, _, right = _MEMBER_NAME.sub("", text).partition("\\pm")
        before = left.strip()
        return "", [f"{before}+{right.strip()}" if before else right.strip(), f"{before}-{right.strip()}"]
    ordered = _THEN.sub(", ", _IN_ORDER.sub("", text))
    in_order = ordered != text or (_NAMES.fullmatch(text) and not re.search(r"\b(?:and|or)\b", text))
    joined = _JOINED.sub(", ", ordered)
    found = elements(joined) or elements(f"{{{joined}}}")
    if found is None:
        return None
    brackets, parts = found
    names = [match[0].rstrip("= ") if (match := _MEMBER_NAME.match(part)) else "" for part in parts]
    if all(names):
        parts = [_MEMBER_NAME.sub("", part) for part in parts]
        if len(set(names)) == len(names):
            parts = [part for _, part in sorted(zip(names, parts, strict=True))]
            brackets = "()"
        elif len(set(names)) > 1:
            return None
    if brackets in ("", "{}"):
        brackets = ORDERED if in_order else ""
    return brackets, parts


def in_asked_order(gold: str, question: str) -> str:
    r"""The gold, marked as a list whose order counts where the question asks for an order; a set has none.

    >>> in_asked_order("1, 2, 3", "Sort these numbers: 3, 1, 2"), in_asked_order("1, 2", "Solve $x^2 - 3x + 2 = 0$.")
    ('1, 2, 3 in this order', '1, 2')
    """
    if not _ASKED.search(question) or _ANY_ORDER.search(question) or _OF_A_SET.search(gold):
        return gold
    return f"{gold} in this order" if elements(gold) else gold
