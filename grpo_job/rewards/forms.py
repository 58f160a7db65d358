r"""Rewards for other kinds of answers than a number: the exact text, a letter, yes or no; and for a `<think>` block.

What is compared is the answer block (`<answer>`) where there is one, else what stands behind `</think>`, else the
whole completion.
"""

import re

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LETTER = re.compile(r"(?<![A-Za-z])\(?([A-Z])\)?(?![A-Za-z'])")
_THINK = re.compile(r"\s*(?:<think>)?(?P<thought>.*?)</think>(?P<rest>.*)", re.DOTALL)


def said(completion: str) -> str:
    """The part of the completion that is its answer.

    >>> said("<think>hm</think> B"), said("so <answer>yes</answer>")
    ('B', 'yes')
    """
    blocks: list[str] = _ANSWER.findall(completion)
    return (blocks[-1] if blocks else completion.rpartition("</think>")[2]).strip()


def exact(completion: str, answer: str) -> float:
    """Pays 1.0 where the answer given is the row's, letter by letter but for white space around it.

    >>> exact("<answer> Paris </answer>", "Paris"), exact("paris", "Paris")
    (1.0, 0.0)
    """
    return float(said(completion) == answer.strip())


def one_of(completion: str, answer: str) -> float:
    """Pays 1.0 where the answer given is one of the row's, whatever its case and closing stop; `|` parts several.

    >>> one_of("<answer>the USA.</answer>", "USA|the usa"), one_of("Chad", "USA|the usa")
    (1.0, 0.0)
    """
    given = said(completion).rstrip(".!").strip().casefold()
    return float(given in [each.strip().casefold() for each in answer.split("|")])


def choice(completion: str, answer: str) -> float:
    """Pays 1.0 where the last capital letter that stands alone in the answer given is the row's letter.

    >>> choice("It is (B).", "B"), choice("<answer>C) Paris</answer>", "B")
    (1.0, 0.0)
    """
    letters = _LETTER.findall(said(completion))
    wanted = answer.strip().strip("().").upper()
    return float(bool(letters) and letters[-1] == wanted)


def yes_no(completion: str, answer: str) -> float:
    """Pays 1.0 where the first yes or no of the answer given is the row's; true and false count as yes and no.

    >>> yes_no("<answer>Yes, it is.</answer>", "true"), yes_no("No.", "yes"), yes_no("Perhaps.", "no")
    (1.0, 0.0, 0.0)
    """
    given, wanted = (re.search(r"\b(yes|no|true|false)\b", text.casefold()) for text in (said(completion), answer))
    meaning = {"yes": True, "true": True, "no": False, "false": False}
    return float(bool(given and wanted) and meaning[given[1]] == meaning[wanted[1]]) if given and wanted else 0.0


def think_format(completion: str, answer: str = "") -> float:
    r"""Pays 1.0 for one `<think>` block that is not empty, and an answer behind it (TRL's `think_format_reward`).

    The opening tag may be missing, for a prompt may end with it.

    >>> think_format("<think>\n2 + 2\n</think>\n4", "4"), think_format("2 + 2</think> 4", "4"), think_format("4", "4")
    (1.0, 1.0, 0.0)
    """
    blocks = _THINK.fullmatch(completion)
    if not blocks or completion.count("<think>") > 1 or completion.count("</think>") != 1:
        return 0.0
    return float("<think>" not in blocks["thought"] and bool(blocks["thought"].strip() and blocks["rest"].strip()))
