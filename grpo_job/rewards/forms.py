r"""Rewards for other kinds of answers than a number: the exact text, a letter, yes or no; and for a `<think>` block.

What is compared is what stands behind `</think>`, or else the completion, and of that the answer block (`<answer>`)
where there is one.
"""

import re

from grpo_job.rewards import choices, latex
from grpo_job.rewards.tags import after_thoughts

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
# Not of a word, nor of B12; `I think` chooses nothing, nor does `not A`.
_LETTER = re.compile(
    r"(?<![A-Za-z\d])(?<!\bnot )(?<!\bnot \()\(?([A-HJ-Z]|I(?! (?!is|because|since)[a-z]))\)?(?![A-Za-z\d'])"
)
_DIGIT = re.compile(r"(?<![\w.,/])\(?([1-9])\)?(?![\w%/]|[.,]\d)")
_JUDGED = re.compile(r"\b(?:answer|option|choice|correct|right|wrong|incorrect)\b", re.IGNORECASE)
_YES_NO = re.compile(r"\b(?P<denied>(?:not|never|\w+n['’]t) )?(?P<said>yes|no|true|false)\b")
_THINK = re.compile(r"\s*(?:<think>)?(?P<thought>.*?)</think>(?P<rest>.*)", re.DOTALL)


def said(completion: str) -> str:
    """The part of the completion that is its answer.

    >>> said("<think>hm</think> B"), said("so <answer>yes</answer>"), said("<think>It may be B")
    ('B', 'yes', '')
    """
    completion = after_thoughts(completion)
    blocks: list[str] = _ANSWER.findall(completion)
    return (blocks[-1] if blocks else completion).strip()


def exact(completion: str, answer: str) -> float:
    """Pays 1.0 if the answer is the row's, character by character, ignoring white space around it.

    >>> exact("<answer> Paris </answer>", "Paris"), exact("paris", "Paris")
    (1.0, 0.0)
    """
    return float(said(completion) == answer.strip())


def one_of(completion: str, answer: str) -> float:
    """Pays 1.0 if the answer is one of the row's, ignoring case, quotes and final stop; `|` separates several.

    >>> one_of("<answer>the U.S.A.</answer>", "USA|the U.S.A."), one_of("Chad", "USA|the usa")
    (1.0, 0.0)
    """
    given, *right = map(_plain, (said(completion), *answer.split("|")))
    return float(bool(given) and given in right)


def _plain(text: str) -> str:
    """Without Markdown and quotes around it, and a stop within or behind them."""
    return latex.unwrap(text.strip().rstrip("!")).rstrip(".!。").strip().casefold()


def choice(completion: str, answer: str) -> float:
    """Pays 1.0 if the letter of the answer, such as `(B)`, or else its last single capital, is the row's.

    Where the row's answer is a digit, as in some rows of ARC, the digit before the answer or the last one counts.

    >>> choice("It is (B).", "B"), choice("<answer>C) Paris</answer>", "B"), choice("B) Vitamin C", "B. Vitamin C")
    (1.0, 0.0, 1.0)
    """
    row = choices.letter_and_text(answer)
    wanted = row[0] if row else answer.strip().strip("().").upper()
    given = said(completion)
    labels = _digits(given) if re.fullmatch(r"[1-9]", wanted) else _letters(given)
    return float(bool(labels) and labels[-1] == wanted)


def _digits(given: str) -> list[str]:
    """The digits that stand alone; of `2) 5 apples` only the first."""
    chosen = re.match(r"\(?([1-9])[).:]\s", given)
    return [chosen[1]] if chosen and not _JUDGED.search(given) else _DIGIT.findall(given)


def _letters(given: str) -> list[str]:
    """The letters that stand alone; of `B) Vitamin C` only the first, but of `(A) is wrong, so B` both."""
    chosen = choices.letter_and_text(given)
    if chosen and not _JUDGED.search(chosen[1]):
        return [chosen[0]]
    return _LETTER.findall(given)


def yes_no(completion: str, answer: str) -> float:
    """Pays 1.0 if the first yes or no of the answer is the row's; true and false count as yes and no.

    What is denied, as in "not true", counts as the other.

    >>> yes_no("<answer>Yes, it is.</answer>", "true"), yes_no("No.", "yes"), yes_no("Perhaps.", "no")
    (1.0, 0.0, 0.0)
    """
    given, wanted = (_YES_NO.search(text.casefold()) for text in (said(completion), answer))
    return float(_is_yes(given) == _is_yes(wanted)) if given and wanted else 0.0


def _is_yes(match: re.Match[str]) -> bool:
    return (match["said"] in ("yes", "true")) != bool(match["denied"])


def think_format(completion: str, answer: str = "") -> float:
    r"""Pays 1.0 for one `<think>` block that is not empty, followed by an answer (TRL's `think_format_reward`).

    The opening tag may be missing, for a prompt may end with it.

    >>> think_format("<think>\n2 + 2\n</think>\n4", "4"), think_format("2 + 2</think> 4", "4"), think_format("4", "4")
    (1.0, 1.0, 0.0)
    """
    blocks = _THINK.fullmatch(completion)
    if not blocks or completion.count("<think>") > 1 or completion.count("</think>") != 1:
        return 0.0
    return float("<think>" not in blocks["thought"] and bool(blocks["thought"].strip() and blocks["rest"].strip()))
