r"""The five rewards of the reference run, kept exactly: the recipe `tutorial` pays what the tutorial pays.

Their faults are kept too: they deny full marks to reasoning over several lines and to `1,000` for `1000`,
and fine length. `answers.py` and `tags.py` hold the rewards that a new run should use.

A "." in the two patterns does not cross a line, and both are matched from the start of the completion.
"""

import re

# Atomic (?>...): only the first <reasoning> can matter, and trying the others makes long lines slow.
_SOFT = re.compile(r"(?>.*?<reasoning>).*?</reasoning>\s*<answer>.*?</answer>")
_STRICT = re.compile(r"\n<reasoning>.*?\n</reasoning>\n\n<answer>.*?\n</answer>\n$")

_COUNTED = ("\n<reasoning>\n", "\n<reasoning>", "</reasoning>\n\n<answer>", "\n</answer>\n")


def _first_answer(completion: str) -> str:
    """The text after the first `<answer>`, up to a `</answer>`; empty when either tag is missing anywhere."""
    if "<answer>" not in completion or "</answer>" not in completion:
        return ""
    return completion.split("<answer>", 1)[1].split("</answer>", 1)[0].strip()


def xmlcount(completion: str, answer: str = "") -> float:
    r"""Pays 0.125 for each tag that occurs once with its newlines, and takes 0.001 for each character outside.

    >>> xmlcount("\n<reasoning>\n48/2 = 24\n</reasoning>\n\n<answer>\n72\n</answer>\n", "72")
    0.455
    """
    found = sum(completion.count(piece) == 1 for piece in _COUNTED)
    after_answer = len(completion.split("\n</answer>\n")[-1])
    after_opening = len(completion.split("\n<reasoning>\n")[-1]) - 1
    return (125 * found - after_answer - after_opening) / 1000  # whole thousandths: no rounding noise


def soft_format(completion: str, answer: str = "") -> float:
    """Pays 0.5 for the two blocks in order, each on one line.

    >>> soft_format("Sure: <reasoning>48 + 24</reasoning> <answer>72</answer>", "72")
    0.5
    """
    return 0.5 if _SOFT.match(completion) else 0.0


def strict_format(completion: str, answer: str = "") -> float:
    r"""Pays 0.5 for one exact layout of newlines, in which the reasoning is one line.

    >>> strict_format("\n<reasoning>48 + 24\n</reasoning>\n\n<answer>72\n</answer>\n", "72")
    0.5
    """
    return 0.5 if _STRICT.match(completion) else 0.0


def int_answer(completion: str, answer: str = "") -> float:
    """Pays 0.5 when the extracted answer is all digits. Its name in the menu is `int`.

    >>> int_answer("<answer>72</answer>", "18")
    0.5
    """
    return 0.5 if _first_answer(completion).isdigit() else 0.0


def correctness(completion: str, answer: str) -> float:
    """Pays 2.0 when the extracted answer is the row's answer, letter for letter.

    >>> correctness("<answer>72</answer>", "72")
    2.0
    """
    return 2.0 if _first_answer(completion) == answer else 0.0
