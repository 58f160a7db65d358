r"""Is the answer right: take it out of the completion, and compare it with the row's answer.

The judges, cheapest first: the same text, the same number (`quantities.py`), equal element by element
(`lists.py`), the same expression (`symbolic.py`). A sum that is still to be done (`48 + 24` for 72) is not an
answer. Nothing here fines length.
"""

import re

from grpo_job.rewards import lists, quantities
from grpo_job.rewards.symbolic import same_expression

_END = 20_000  # characters: an answer that is further from the end than this is not looked for

_BOX = re.compile(r"\\boxed\s*\{|\\[{}]|[{}]")
_HASHES = re.compile(r"####(?!#)[ \t]*([^\n]*)")
# Not within a word or a power, nor an ordinal; "5-3" ends in 3, not in -3.
_NUMBER_IN_TEXT = re.compile(
    rf"(?<![\w^)])(?>[-\u2212\u2013]?[$€£]?-?{quantities.NUMBER}(?:/{quantities.NUMBER})?(?:[eE][-+]?\d+)?)"
    r"(?!(?:st|nd|rd|th)\b)"
)


def extract_answer(completion: str) -> str | None:
    r"""What stands in the last complete answer block, or None. The reading that the reward goes by.

    >>> extract_answer("<reasoning>48 + 24</reasoning>\n<answer>\n72\n</answer>")
    '72'
    >>> extract_answer("The answer is 72.") is None
    True
    """
    opening = completion.rfind("<answer>", 0, max(0, completion.rfind("</answer>")))
    if opening < 0:
        return None
    start = opening + len("<answer>")
    return completion[start : completion.index("</answer>", start)].strip() or None


def last_answer(completion: str) -> str | None:
    r"""The answer as a patient reader finds it: in tags, else `\boxed{}`, else `####`, else the last number.

    >>> last_answer("So \\boxed{72} in all"), last_answer("#### 72"), last_answer("That makes $1,000 in 3 days.")
    ('72', '72', '3')
    """
    answer = extract_answer(completion)
    if answer is not None:
        return answer
    end = completion[-_END:]
    return _last_boxed(end) or _after_hashes(end) or _last_number(end)


def equal(given: str, gold: str) -> bool:
    r"""Whether two answers are the same: as text, as numbers, or by algebra.

    >>> equal("$1,000.00", "1000"), equal("72 apples", "72"), equal(r"\frac{2}{3}", "2/3")
    (True, True, True)
    >>> equal("0.6667", "2/3"), equal("48 + 24", "72"), equal("72 or 73", "72")
    (False, False, False)
    """
    if given.strip() == gold.strip():
        return True
    if max(len(given), len(gold)) > quantities.LONGEST:
        return False
    given, gold = quantities.unwrap(given), quantities.unwrap(gold)
    if not given or not gold:
        return False
    if _as_text(given) == _as_text(gold):
        return True
    return _equal_values(given, gold)


def correct(completion: str, answer: str) -> float | None:
    """Pays 1.0 when the answer block holds the row's answer; None when the row has no answer.

    >>> correct("<reasoning>48 + 24 = 72</reasoning><answer>72 clips</answer>", "72")
    1.0
    >>> correct("The answer is 72.", "72")
    0.0
    """
    return _grade(extract_answer(completion), answer)


def correct_anywhere(completion: str, answer: str) -> float | None:
    """Pays 1.0 when the answer is right wherever it stands: for prompts that do not ask for the tags.

    >>> correct_anywhere("The answer is 72.", "72")
    1.0
    """
    return _grade(last_answer(completion), answer)


def _grade(given: str | None, gold: str) -> float | None:
    if not gold.strip():
        return None
    return 1.0 if given is not None and equal(given, gold) else 0.0


def _as_text(answer: str) -> str:
    """One spelling for what differs in spaces or capitals only; `1 1/2` and `11/2` stay apart."""
    return re.sub(r" ?([^\w ]) ?", r"\1", " ".join(answer.split())).casefold()


def _equal_values(given: str, gold: str) -> bool:
    one, other = quantities.quantity(given), quantities.quantity(gold)
    if one and other:
        return quantities.same_quantity(one, other)
    several, others = lists.elements(given), lists.elements(gold)
    if several or others:
        return lists.same_elements(several, others, equal)
    # Against a number only powers and roots go on to algebra: `48 + 24` is the working, not the answer.
    if (one and not _needs_algebra(gold)) or (other and not _needs_algebra(given)):
        return False
    return same_expression(given, gold)


def _needs_algebra(answer: str) -> bool:
    return re.search(r"[\\^√²³]|sqrt", quantities.plain(answer)) is not None


def _last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` whose braces balance."""
    opened: list[int | None] = []  # where each open brace's box begins; None for other braces
    last = None
    for brace in _BOX.finditer(text):
        if brace[0].startswith("\\boxed"):
            opened.append(brace.end())
        elif brace[0] == "{":
            opened.append(None)
        elif brace[0] == "}" and opened and (start := opened.pop()) is not None:
            last = text[start : brace.start()].strip()
    return last or None


def _after_hashes(text: str) -> str | None:
    """The line after the last `####` that is a number or ends the text: other `####` are headings."""
    for match in reversed(list(_HASHES.finditer(text))):
        line = match[1].strip()
        if line and (quantities.quantity(line) or not text[match.end() :].strip()):
            return line
    return None


def _last_number(text: str) -> str | None:
    numbers = _NUMBER_IN_TEXT.findall(text)
    return numbers[-1] if numbers else None
