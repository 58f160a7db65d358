r"""How models end a text that has no tags: in math signs, as working, in bold, in a fence, with what bounds a number."""

import pytest

from grpo_job.rewards.answers import correct_anywhere


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("So\n\\[\n72\n\\]", "72", "2"),
        ("Hence\n\\[\nx = 72\n\\]\n", "72", "x"),
        ("So 144/2 gives\n\\[\n3/4\n\\]", r"\frac{3}{4}", "4"),
        ("\\[ x = \\frac{4}{2} \\]\n\\[\nx = 2\n\\]\n", "2", "4"),
    ],
)
def test_the_last_value_is_read_whole(text: str, right: str, wrong: str) -> None:
    assert correct_anywhere(text, right) == 1.0
    assert correct_anywhere(text, wrong) == 0.0
