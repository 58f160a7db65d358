r"""Is the answer right: take it out of the completion, and compare it with the row's answer.

Where it is looked for says `extract_answer` for the strict reward and `last_answer` for the patient one; what a
sentence there states, `sentences.py`; whether it is the row's answer, `comparison.py`. Nothing here fines length.
"""

import re
from collections.abc import Mapping
from typing import Any

from grpo_job.rewards import choices, dates, latex, lists, quantities, sentences, words, written_out
from grpo_job.rewards.comparison import equal
from grpo_job.rewards.tags import after_thoughts

__all__ = ["correct", "correct_anywhere", "equal", "extract_answer", "last_answer"]

_END = 20_000  # characters: an answer that is further from the end than this is not looked for

_HASHES = re.compile(r"####(?!#)[ \t]*([^\n]*)")
_GROUPED = r"\d{1,3}(?:\.\d{3}){1,5},\d\d(?!\d)(?: ?€)?|\d+,\d\d(?!\d) ?€|\d+(?:\.\d+){2,}|\d{1,3}(?: \d{3})+(?![\d/])"
# Not within a word or a power, nor an ordinal, nor a year, nor what is denied.
_NUMBER_IN_TEXT = re.compile(
    r"(?<![\w^)])(?<!\b[Ii]n (?=(?:19|20)\d\d\b))(?<!\bnot )(?<!\bmod )(?>[-\u2212\u2013]?[$€£]?-?(?:\d+ (?=\d+/\d))?"
    rf"(?:{_GROUPED}|{quantities.NUMBER}(?:,\d+)*)"  # `12,5` is one number or two, but not 5
    rf"(?: ?[½¼¾⅐-⅞]|/{quantities.NUMBER})?(?:[eE][-+]?\d+)?(?: (?:hundred|thousand|million|billion|trillion)\b)?)"
    r"(?!(?:st|nd|rd|th)\b|[万萬亿億만억])"
)
# What makes another of the number beside it: a bound, a part, a denial, a question, or what is still to be done.
_QUALIFIED = re.compile(
    r"\b(?:at (?:least|most)|than|over|under|above|below|between|almost|nearly|half|twice|double|triple|root of|power of"
    r"|(?:half|thirds?|quarters?|fourths?|fifths?|percent|%) of|\w+n['’]t(?: be)?|(?:cannot|not|could|might|may) be|maybe"
    r"|perhaps|per|page|step|version|negative|minus|plus|times) $",
    re.IGNORECASE,
)
_WORKED_OUT = re.compile(  # `36 * 5 = 180 dollars in ` before `5 days`
    rf"[\d)] ?= ?(?P<result>[-\u2212]?[$€£]?{quantities.NUMBER})(?: [A-Za-z'-]+){{0,5}}"
    r" (?:in|after|for|over|of|with|per|at|on|within|by|from|to [a-z]+)(?: (?:the|his|her|their|these|every))? $"
)
_QUALIFIES = re.compile(
    r"\?| (?:squared|cubed|factorial|or (?:more|less|fewer|so)|(?:is|are|was) (?:not|wrong|incorrect))\b"
    r"|\s*[-+*/×÷=]\s*$"
)
_STATEMENT = re.compile(
    r"(?<!\w)(?:(?:final |correct )?answer(?P<says>(?: is)?(?: thus| therefore| then)?:?\**)"
    r"(?: +|\s*\n\s*+(?!\d+[.)]\s))(?!is\b)"  # on the next line too, but not a numbered list
    r"|(?:correct|right|best) (?:option|choice)(?: is)?:? (?=\(?[A-J]\b))",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n|,? (?:because|since)\b")
_TAKEN_BACK = re.compile(r"(?:[.!?]\**|\n) ?(?:wait|actually|correction|oops|hmm|sorry)\b", re.IGNORECASE)
_ALIGNED = re.compile(
    r"\\begin\{((?:align(?:ed|at)?|gather(?:ed)?|equation|split)\*?)\}((?:(?!\\begin).){0,3000}?)\\end\{\1\}", re.DOTALL
)
_FENCE = re.compile(r"^[ \t]*```\w*[ \t]*$", re.MULTILINE)
_NUMBER_IN_MATH = re.compile(rf"(?<![\\$\w])\$([-\u2212]?{quantities.NUMBER})\$(?![$\d])")
_MATH = re.compile(
    r"\$\$?(?=\S)((?:[^$\\]|\\.){0,299}?(?:[^$\\\s]|\\.))\$\$?(?!\d)|\\\((.{1,300}?)\\\)|\\\[(.{1,300}?)\\\]", re.DOTALL
)
_COMMAND = re.compile(r"\\(?![()\[\]$%#&])|\^")  # of LaTeX, but no sign around math
_OPERAND = r"(?:\([-+*/\d.π√ ]{1,30}\)|[\d./π√⁰¹²³⁴-⁹⁻]|,(?=\d{3}))+"  # of formulas without LaTeX: 16π + 4, 2√3, 10⁶
_PLAIN_FORMULA = re.compile(rf"(?<![\w.,])[-\u2212]?{_OPERAND}(?: ?[-\u2212+*·×] ?{_OPERAND})*")
_HAS_SYMBOL = re.compile(r"(?=.*\d).*[π√]|.*\d[⁰¹²³⁴-⁹⁻]")
_MEASURES = re.compile(rf"(?<![\w.,]){quantities.COMPOUND.pattern}")
_OPEN_BRACKET = re.compile(rf"[(\[{{](?!{quantities.NUMBER}$)[^()\[\]{{}}A-Za-z]*,[^()\[\]{{}}A-Za-z,]*$")
_NAMED = r"(?:[a-z] ?= ?)?"
_BEFORE = rf"\$?{_NAMED}[-\u2212]?[$€£]?{quantities.NUMBER}(?:/\d+)?\$?"
_JOINED = re.compile(  # `2x + 1`, `x > 3`; `3:4`, `1 in 6`, `2 or 3`, `1, -2 and 3`
    r"(?<![A-Za-z<])(?=[^A-Za-z]*[A-Za-z])(?:[A-Za-z0-9]{1,3}\s?[-+*/<>≤≥]=?\s?)+$"
    rf"|(?<![\w.,/])(?:{_BEFORE}(?:, |:| : ))*{_BEFORE}(?::| : |\s?±\s?| in | out of |,? (?:or|to|and) \$?{_NAMED}|, [a-z] ?= ?)$"
    rf"|(?<![\w.,/])(?:{_BEFORE}, ){{2,}}$"
)
_WORD_BEFORE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}:?\s|[,;:.]\s|\n")


def extract_answer(completion: str) -> str | None:
    r"""What stands in the last complete answer block behind the thoughts, or None. The reading that the reward goes by.

    >>> extract_answer("<reasoning>48 + 24</reasoning>\n<answer>\n72\n</answer>")
    '72'
    >>> extract_answer("The answer is 72.") is None
    True
    """
    completion = after_thoughts(completion)
    if "<answer " in completion or "</answer " in completion:
        completion = re.sub(r"<(/?)answer {1,8}>", r"<\1answer>", completion)
    opening = completion.rfind("<answer>", 0, max(0, completion.rfind("</answer>")))
    if opening < 0:
        return None
    start = opening + len("<answer>")
    return completion[start : completion.index("</answer>", start)].strip() or None


def last_answer(completion: str) -> str | None:
    r"""The answer as a patient reader finds it: in tags, else `\boxed{}`, else `####`, else the last number or formula.

    Nothing that stands in thoughts (`<think>`) is one.

    >>> last_answer("So \\boxed{72} in all"), last_answer("#### 72"), last_answer("That makes $1,000 in 3 days.")
    ('72', '72', '3')
    """
    completion = after_thoughts(completion)
    answer = extract_answer(completion)
    if answer is not None:
        return answer
    end = _unmarked(latex.apart(completion[-_END:]))
    if boxed := latex.last_box(end):
        return boxed
    return _after_hashes(end) or _stated(end) or _last_value(end)


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
    """Pays 1.0 when the answer is right wherever it stands: for prompts that do not ask for the tags.

    >>> correct_anywhere("The answer is 72.", "72")
    1.0
    """
    return _grade(last_answer(completion), answer, columns)


def _grade(given: str | None, gold: str, columns: Mapping[str, Any]) -> float | None:
    if not gold.strip():
        return None
    if given is None:
        return 0.0
    if given.strip() == gold.strip():
        return 1.0
    right = (latex.last_box(gold) if len(gold) <= quantities.LONGEST else "") or gold
    right = lists.in_asked_order(right, str(columns.get("question") or ""))
    options = choices.options(columns.get("choices") or columns.get("options"))
    if choices.contradicts(given, options, equal):
        return 0.0
    readings = dict.fromkeys([given, *sentences.readings(given)])
    return float(any(choices.right_among(reading, right, options, equal) for reading in readings))


def _unmarked(text: str) -> str:
    """Without fences, bold, rows of aligned steps, and the signs around a single number, which is no price."""
    text = _ALIGNED.sub(_in_lines, _FENCE.sub("", text))
    return _NUMBER_IN_MATH.sub(r"\1", sentences.BOLD.sub(r"\1", text))


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
    last = _last(_STATEMENT, text)
    if last is None or text[max(0, last.start() - 30) : last.start()].lower().rstrip().endswith(("if the", "not the")):
        return None
    rest = text[last.end() : last.end() + quantities.LONGEST]
    end = _SENTENCE_END.search(rest)
    if end and (end[0] == "?" or _TAKEN_BACK.search(rest, end.start())):
        return None
    stated = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    if stated and (quantities.quantity(stated) or choices.letter_and_text(stated)):
        return stated
    words = len(re.findall(r"(?!(?:sqrt|pi|sin|cos|tan|log|ln)\b)\b[A-Za-z]{2,}", stated))
    of_one_word = (
        words == 1 and (last["says"] or "\n" in last[0]) and not re.search(r"\d", stated)
    )  # nothing in `answer this`
    return stated if stated and (words == 0 or of_one_word) else None


def _last_value(text: str) -> str | None:
    """The last number, or the whole of the formula or the list that the last number is a part of."""
    last = _last(_NUMBER_IN_TEXT, text)
    formula = _last_formula(text)
    if formula and (last is None or last.start() < formula[1]):
        return formula[0]
    if last is None:
        return _last_sentence(text)
    measured = _last(_MEASURES, text)
    for whole in (dates.last(text), measured if measured and quantities.quantity(measured[0]) else None):
        if whole and last.end() <= whole.end():
            return whole[0]
    before = text[max(0, last.start() - 100) : last.start()]
    if text[last.end() : last.end() + 1] in ")]}" and (opening := _OPEN_BRACKET.search(before + last[0])):
        return opening[0] + text[last.end() : last.end() + 1]
    if worked_out := _WORKED_OUT.search(before):
        return worked_out["result"]
    if algebra := written_out.around(text, last.start(), last.end()):
        return algebra
    if joined := _JOINED.search(before):
        return (joined[0] + last[0]).replace("$", "")
    qualified, qualifies = _QUALIFIED.search(before), _QUALIFIES.match(text, last.end())
    return (qualified[0] if qualified else "") + last[0] + (qualifies[0] if qualifies else "")


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
        content = "".join(part or "" for part in match.groups())
        if _is_formula(content):
            found = content.strip(), match.end()
    for match in _PLAIN_FORMULA.finditer(text):
        if _HAS_SYMBOL.match(match[0]) and (found is None or match.end() > found[1]):
            found = match[0].strip("."), match.end()
    command = _last(_COMMAND, text)
    mark = command.start() if command else -1
    if mark < 0 or (found and mark < found[1]):
        return found
    before = text[max(0, mark - 300) : mark]
    start = mark - len(before)
    if word := _last(_WORD_BEFORE, before):
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


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return max(pattern.finditer(text), key=re.Match.start, default=None)
