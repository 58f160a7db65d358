r"""Is the completion in the format asked for: one reasoning block, then one answer block.

Length, line breaks and the white space around the blocks cost nothing. What stands in the answer block is
judged in `answers.py`.
"""

import re

TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")

_BLOCKS = re.compile(r"\s*<reasoning>(?P<reasoning>.*)</reasoning>\s*<answer>(?P<answer>.*)</answer>\s*", re.DOTALL)


def format_tags(completion: str, answer: str = "") -> float:
    r"""Pays 1.0 for exactly one reasoning block followed by exactly one answer block, neither of them empty.

    >>> format_tags("<reasoning>\n48 / 2 = 24\n48 + 24 = 72\n</reasoning>\n<answer>\n72\n</answer>\n", "72")
    1.0
    >>> format_tags("The answer is 72.", "72")
    0.0
    """
    if any(completion.count(tag) != 1 for tag in TAGS):
        return 0.0
    blocks = _BLOCKS.fullmatch(completion)
    return 1.0 if blocks and blocks["reasoning"].strip() and blocks["answer"].strip() else 0.0


def after_thoughts(completion: str) -> str:
    """What a model that thinks says in the end: what stands behind `</think>`; nothing while it still thinks.

    >>> after_thoughts("<think>5? No.</think> 4"), after_thoughts("<think>5?"), after_thoughts("It is 4.")
    (' 4', '', 'It is 4.')
    """
    rest = completion.rpartition("</think>")[2]
    return "" if "<think>" in rest else rest


def in_format(reasoning: str, answer: str) -> str:
    r"""A completion in the format asked for; tags within the reasoning are dropped.

    >>> in_format("48 + 24 = 72", "72")
    '<reasoning>\n48 + 24 = 72\n</reasoning>\n<answer>\n72\n</answer>'
    """
    for tag in TAGS:
        reasoning = reasoning.replace(tag, "")
    return f"<reasoning>\n{reasoning.strip()}\n</reasoning>\n<answer>\n{answer.strip()}\n</answer>"


def tag_count(completion: str, answer: str = "") -> float:
    """Pays the share of the four tags that occur exactly once and in order: partial credit for the format.

    >>> tag_count("<reasoning>48 + 24 = 72</reasoning> so 72", "72")
    0.5
    """
    in_order, last = 0, -1
    for tag in TAGS:
        place = completion.find(tag)
        if completion.count(tag) == 1 and place > last:
            in_order, last = in_order + 1, place
    return in_order / len(TAGS)
