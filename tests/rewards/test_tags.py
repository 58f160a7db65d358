"""The shape is right whatever the length and the line breaks, and wrong in every other arrangement."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_job.rewards.tags import TAGS, format_tags, tag_count

GOOD = "<reasoning>\n48 / 2 = 24\n48 + 24 = 72\n</reasoning>\n<answer>\n72\n</answer>\n"


@pytest.mark.parametrize(
    "completion",
    [
        GOOD,
        GOOD.strip(),
        "\n\n" + GOOD + "\n \n",
        GOOD.replace("\n", ""),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("</reasoning>\n<answer>", "</reasoning>\n\n   <answer>"),
        GOOD.replace("48 / 2", "because 3 < 4 > 2\n\n" * 5000 + "48 / 2"),
    ],
)
def test_one_reasoning_block_and_one_answer_block_earn_full_marks(completion: str) -> None:
    assert (format_tags(completion, "72"), tag_count(completion, "72")) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("completion", "share"),
    [
        ("", 0.0),
        ("72", 0.0),
        ("Sure! " + GOOD, 1.0),
        (GOOD + "Hope that helps.", 1.0),
        (GOOD.replace("<answer>", "so <answer>"), 1.0),
        (GOOD + GOOD, 0.0),
        (GOOD + "<answer>72</answer>", 0.5),
        ("<answer>72</answer><reasoning>48 + 24</reasoning>", 0.5),
        ("<reasoning>48 + 24 <answer>72</answer></reasoning>", 0.5),
        ("<reasoning>48 + 24 = 72</reasoning><answer>72", 0.75),
        ("<reasoning>48 + 24 = 72", 0.25),
        ("<answer>72</answer>", 0.5),
        ("<reasoning></reasoning><answer>72</answer>", 1.0),
        ("<reasoning>48 + 24 = 72</reasoning><answer> \n</answer>", 1.0),
        (GOOD.upper(), 0.0),
    ],
)
def test_any_other_shape_earns_nothing_but_a_share_of_the_tags(completion: str, share: float) -> None:
    assert (format_tags(completion, "72"), tag_count(completion, "72")) == (0.0, share)


def test_of_all_orders_of_the_tags_one_is_right() -> None:
    right = [order for order in itertools.permutations(TAGS) if format_tags(" 1 ".join(order), "1")]
    assert right == []  # words between the blocks
    assert tag_count(" 1 ".join(TAGS), "1") == 1.0
    assert sum(tag_count("".join(order), "1") == 1.0 for order in itertools.permutations(TAGS)) == 1


def text_without_tags(max_size: int) -> st.SearchStrategy[str]:
    return st.text(max_size=max_size).filter(lambda text: not any(tag in text for tag in TAGS))


@settings(deadline=None, max_examples=200)
@given(text_without_tags(40), text_without_tags(10))
def test_every_reasoning_and_answer_without_tags_fits_the_format(reasoning: str, answer: str) -> None:
    completion = f"<reasoning>{reasoning}</reasoning>{answer and chr(10)}<answer>{answer}</answer>"
    expected = 1.0 if reasoning.strip() and answer.strip() else 0.0
    assert (format_tags(completion, answer), tag_count(completion, answer)) == (expected, 1.0)
