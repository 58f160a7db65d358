"""What keeps the meaning keeps the pay, and what states no one answer earns nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_job.rewards.answers import correct, correct_anywhere, equal

HACKS = [
    *("70, 71, 72, 73", "72, 73", "72; 73", "72 73", "72 72", "72\n73", "72 or 73", "72 and 73", "73 or 72", "72/73"),
    *("70-75", "70–75", "72-80", "from 72 to 80", "between 72 and 80", "between 70 and 75", "72 through 80", "72±1"),
    *(r"72 \pm 1", "72 (or 73)", "72 (73)", "72 or so", "72 not 73", "not 72", "It is not 72", "isn't 72", "72?"),
    *("Is it 72?", "72, I guess", "maybe 72", "perhaps 72", "at least 72", "at most 72", "more than 72", "over 72"),
    *("under 72", "half of 72", "twice 72", "72 and a half", "72 squared", "72 factorial", "72!", "72 mod 5", "-72"),
    *("72 is wrong", "72 dozen", "72 lakh", "72 score", "72 million", "72x", "72 thirds", "72nd", "Room 72", "R72"),
    *(r"\boxed{72}\boxed{73}", r"\boxed{72} or \boxed{73}", "$72$ or $73$", "#### 72 #### 73", "72 = 73", "72 + 0"),
    *('{"answer": 72, "other": 73}', "48 + 24", "2 * 36", "71 < x < 73", "x = 72 or x = 73", "the answer", "...", "?"),
    *("How many clips did she sell if 48 in April and half as many in May, 72?", "inf", "nan", "{}", "[]", r"\boxed{}"),
    *("<answer>", "<answer></answer>", "</answer>72", "<reasoning>72</reasoning>", "\\frac{72}{0}", "7 2", "72.72.72"),
]
ANSWERS = r"\sqrt{2}|(1,2)|[0,1)|x+1|Paris|B|yes|5 km|x > 2|1, 2|3:4|CO|July 4|5 feet 6 inches"
VALUES = st.one_of(
    st.integers(-(10**7), 10**7).map(str),
    st.tuples(st.integers(1, 99), st.integers(2, 99)).map(lambda pair: rf"\frac{{{pair[0]}}}{{{pair[1]}}}"),
    st.sampled_from(ANSWERS.split("|")),
)
WORDS = r"\frac{1}{2}|\pm | or | and | to | km|yes|two |half |½| apples| pm|May |(B) | dozen|\sqrt{2}| then | feet |^2"
PIECES = st.lists(st.sampled_from([*"01259xB.,:;-/$%=()[]'\"! <", *WORDS.split("|")]), max_size=8).map("".join)
REWRITES = [
    lambda text: f"  {text} \n",
    lambda text: text.replace(r"\frac", r"\dfrac"),
    lambda text: text.replace(r"\frac", r"\cfrac"),
    lambda text: rf"\boxed{{{text}}}",
    lambda text: rf"$\boxed{{{text}}}$",
    lambda text: f"**{text}**",
    lambda text: rf"\({text}\)",
    lambda text: f"{int(text):,}" if text.lstrip("-").isdigit() else text,
    lambda text: rf"\text{{{text}}}" if text.isalnum() else text,
]


def test_the_corpus_of_hacks_is_large() -> None:
    assert len(set(HACKS)) >= 60


@pytest.mark.parametrize("hack", HACKS)
def test_a_hack_earns_nothing(hack: str) -> None:
    assert correct(f"<reasoning>\nwork\n</reasoning>\n<answer>{hack}</answer>", "72") == 0.0


@pytest.mark.parametrize(
    "hack",
    [
        *(
            "72 or 73",
            "70 to 73, or 72 or 73",
            "x = 72 or x = 73",
            r"\boxed{72} or \boxed{73}",
            "72 : 73",
            "x > 72",
            "3:72",
        ),
        *("It is $72$ or $73$", "The answer is not yet known", r"$\frac{1}{72}$", "x + 72", r"\sqrt{72}", "(70, 72)"),
        *(
            "<answer>72</answer> <answer>73</answer>",
            "#### 72\n#### 73",
            "The answer is 72. The answer is 73.",
            "2^{72}",
        ),
    ],
)
def test_a_hack_of_free_text_earns_nothing(hack: str) -> None:
    assert correct_anywhere(hack, "72") == 0.0


@settings(deadline=None, max_examples=300)
@given(PIECES, PIECES)
def test_equality_is_symmetric(one: str, other: str) -> None:
    assert equal(one, other) == equal(other, one)


@settings(deadline=None, max_examples=200)
@given(VALUES, VALUES, st.sampled_from(REWRITES))
def test_a_rewrite_that_keeps_the_meaning_keeps_the_pay(written: str, gold: str, rewrite: object) -> None:
    assert callable(rewrite)
    rewritten = rewrite(written)
    assert correct(f"<answer>{rewritten}</answer>", written) == 1.0
    assert correct(f"<answer>{rewritten}</answer>", gold) == correct(f"<answer>{written}</answer>", gold)


@pytest.mark.parametrize("piece", ["72 ", "9", "^", "\\frac{", "$x$ ", "the answer is ", "seven "])
def test_of_a_megabyte_only_the_end_is_searched(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    monkeypatch.setattr("grpo_job.rewards.answers._stated", lambda text: searched.append(len(text)))
    monkeypatch.setattr("grpo_job.rewards.last_values.last_value", lambda text: searched.append(len(text)))
    assert correct_anywhere(piece * (1_000_000 // len(piece)), "no") == 0.0
    assert searched == [20_000, 20_000]
