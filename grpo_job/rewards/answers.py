r"""Is the answer right: take it out of the completion, and compare it with the row's answer.

Where it is looked for says `extract_answer` for the strict reward and `last_answer` for the patient one; the last
value of a free text, `last_values.py`; what a sentence states, `sentences.py`; whether it is the row's answer,
`comparison.py`. Nothing here fines length.
"""

import re
from collections.abc import Mapping
from typing import Any

from grpo_job.rewards import (
    choices,
    claims,
    dates,
    last_values,
    latex,
    lists,
    quantities,
    sentences,
    structured,
    units,
    words,
)
from grpo_job.rewards.comparison import equal
from grpo_job.rewards.tags import after_thoughts

__all__ = ["correct", "correct_anywhere", "equal", "extract_answer", "last_answer"]

_END = 20_000  # characters: an answer that is further from the end than this is not looked for

_HASHES = re.compile(r"####(?!#)[ \t]*([^\n]*)")
_STATEMENT = re.compile(
    r"(?<!\w)(?:(?:final |correct )?answer(?P<says>(?: is)?(?: thus| therefore| then)?:?\**)"
    r"(?: +|\s*\n\s*+(?!\d+[.)]\s))(?!is\b)"  # on the next line too, but not a numbered list
    r"|(?:correct|right|best) (?:option|choice)(?: is)?:? (?=\(?[A-J]\b))",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_NAME = re.compile(r"[A-Z][\w'’-]*\.?(?: (?:of |the |de |la |van |von )?[A-Z][\w'’-]*\.?){1,4}")
_TAKEN_BACK = re.compile(r"(?:[.!?]\**|\n) ?(?:wait|actually|correction|oops|hmm|sorry)\b", re.IGNORECASE)
_ALIGNED = re.compile(
    r"\\begin\{((?:align(?:ed|at)?|gather(?:ed)?|equation|split)\*?)\}((?:(?!\\begin).){0,3000}?)\\end\{\1\}", re.DOTALL
)
_FENCE = re.compile(r"^[ \t]*```\w*[ \t]*$", re.MULTILINE)
_NUMBER_IN_SIGNS = re.compile(rf"(?<![\\$*\w])([$*])([-\u2212]?{quantities.NUMBER})\1(?![$*\d])")


def extract_answer(completion: str) -> str | None:
    r"""What stands in the last complete answer block behind the thoughts, or None. The reading that the reward goes by.

    >>> extract_answer("<reasoning>48 + 24</reasoning>\n<answer>\n72\n</answer>")
    '72'
    >>> extract_answer("The answer is 72.") is None
    True
    """
    completion = after_thoughts(completion)
    completion = re.sub(r"<(/?)answer {1,8}>", r"<\1answer>", completion)
    opening = completion.rfind("<answer>", 0, max(0, completion.rfind("</answer>")))
    if opening < 0:
        return None
    start = opening + len("<answer>")
    return completion[start : completion.index("</answer>", start)].strip() or None


def last_answer(completion: str) -> str | None:
    r"""The answer as a patient reader finds it: in tags, else `\boxed{}`, else `####`, else the last number or formula.

    Nothing that stands in thoughts (`<think>`) is one.

    >>> last_answer("So \\boxed{72} in all"), last_answer("#### 72"), last_answer("In 3 days that makes $1,000.")
    ('72', '72', '$1,000')
    """
    completion = after_thoughts(completion)
    answer = extract_answer(completion)
    if answer is not None:
        return answer
    end = _unmarked(latex.apart(completion[-_END:]))
    if boxed := latex.last_box(end):
        return boxed
    if hashed := _after_hashes(end):
        return hashed
    end = claims.stated(end)
    return _stated(end) or last_values.last_value(end)


def correct(completion: str, answer: str, **columns: Any) -> float | None:
    """Pays 1.0 when the answer block holds the row's answer; None when the row has no answer.

    Where the row has a column `choices` or `options`, the text of the right option is right too.

    >>> correct("<reasoning>48 + 24 = 72</reasoning><answer>72 clips</answer>", "72")
    1.0
    >>> correct("The answer is 72.", "72")
    0.0
    """
    return _grade(extract_answer(completion), answer, columns)


def correct_anywhere(completion: str, answer: str, **columns: Any) -> float | None:
    """Pays 1.0 when the answer is right anywhere in the text: for prompts that do not ask for the tags.

    >>> correct_anywhere("The answer is 72.", "72"), correct_anywhere("It is 5 km away.", "5 m")
    (1.0, 0.0)
    """
    said = after_thoughts(completion).strip()
    given = _whole(completion, said, answer) or last_answer(completion)
    return 0.0 if given and _in_another_unit(given, said, answer) else _grade(given, answer, columns)


def _grade(given: str | None, gold: str, columns: Mapping[str, Any]) -> float | None:
    if not gold.strip():
        return None
    if given is None:
        return 0.0
    if given.strip() == gold.strip():
        return 1.0
    right = (latex.last_box(gold) if len(gold) <= quantities.LONGEST else "") or gold
    right = lists.in_asked_order(lists.in_one_line(right), str(columns.get("question") or ""))
    options = choices.options(columns.get("choices") or columns.get("options"))
    if options and _contradicts(given, options):
        return 0.0
    readings = dict.fromkeys([given, *_only(structured.documents(given)), *sentences.readings(given)])
    return float(any(choices.right_among(reading, right, options, equal) for reading in readings))


def _only(found: list[str]) -> list[str]:
    return found if len(found) == 1 else []


def _whole(completion: str, said: str, gold: str) -> str | None:
    """What is no single value: the gold or its kind of list, where that is all that is `said`; the last JSON."""
    if structured.document(gold) is not None:
        found = [] if extract_answer(completion) else structured.documents(said[-_END:])
        return found[-1] if found else None
    text = structured.unfenced(said)
    if len(text) > quantities.LONGEST:
        return None
    if words.same_text(text, gold.strip()):
        return gold
    listed = lists.in_one_line(text) != text and lists.several(lists.in_one_line(gold))
    return text if listed else None


def _contradicts(given: str, options: dict[str, str]) -> bool:
    """Whether it has the letter of one option, and states the text of another: `B. It is Rome`."""
    letter, text = choices.letter_and_text(given) or ("", "")
    said = [given, *(f"{letter}. {each}" for each in sentences.readings(text))]
    return any(choices.contradicts(each, options, equal) for each in said)


def _in_another_unit(given: str, said: str, gold: str) -> bool:
    """Whether the text has after its answer, which is a number alone, a measure that is not the gold's."""
    wanted = quantities.quantity(gold)
    if wanted is None or not wanted.unit or not units.known(wanted.unit[0]):
        return False
    after = last_values.last(re.compile(re.escape(given) + r" ?((?:[A-Za-zµ°/²³]+ ?){1,3})"), said[-_END:])
    measure = after[1].split() if after else []
    if not measure or not units.known(measure[0]) or measure[0] == "in":
        return False
    return not any(equal(" ".join([given, *measure[:end]]), gold) for end in range(1, len(measure) + 1))


def _unmarked(text: str) -> str:
    """Without fences, bold, rows of aligned steps, and the signs around a single number, which is no price."""
    text = _ALIGNED.sub(_in_lines, _FENCE.sub("", text))
    return _NUMBER_IN_SIGNS.sub(r"\2", sentences.BOLD.sub(r"\1", text))


def _in_lines(equations: re.Match[str]) -> str:
    return equations[2].replace("\\\\", "\n").replace("&", "")


def _after_hashes(text: str) -> str | None:
    """The line after the last `####` that is a number or ends the text: other `####` are headings."""
    for match in reversed(list(_HASHES.finditer(text))):
        line = match[1].strip()
        if line and (quantities.quantity(line) or not text[match.end() :].strip()):
            return line
    return None


def _stated(text: str) -> str | None:
    """What the last "answer is" or "Answer:" states, where it is one value or a letter."""
    last = last_values.last(_STATEMENT, text)
    if last is None:
        return None
    rest = text[last.end() : last.end() + quantities.LONGEST]
    end = _SENTENCE_END.search(rest)
    if end and (end[0] == "?" or _TAKEN_BACK.search(rest, end.start())):
        return None
    stated = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    if not stated or any(read(stated) for read in (quantities.quantity, choices.letter_and_text, dates.date)):
        return stated or None
    if not (long := re.findall(r"(?<!\\)\b(?!(?:sqrt|pi|sin|cos|tan|log|ln)\b)[A-Za-z]{2,}", stated)):
        return stated
    named = (len(long) == 1 or _NAME.fullmatch(stated)) and not re.search(r"\d", stated)
    return stated if named and (last["says"] or "\n" in last[0]) else None  # nothing in `answer this`
