"""The tutorial's five rewards pay what the original functions paid."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_job.rewards import MENU

VECTORS = [
    json.loads(line)
    for line in Path(__file__).with_name("reward_vectors.jsonl").read_text(encoding="utf-8").splitlines()
]
TUTORIAL = ("xmlcount", "soft_format", "strict_format", "int", "correctness")
PIECES = ("<reasoning>", "</reasoning>", "<answer>", "</answer>", "\n", " ", "72", "x")


def test_there_are_sixty_vectors() -> None:
    assert len(VECTORS) == 60


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_each_vector_is_paid_exactly(vector: dict[str, str]) -> None:
    paid = {name: MENU[name](vector["completion"], vector["answer"]) for name in TUTORIAL}
    assert paid == {name: vector[name] for name in TUTORIAL}


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_the_quick_soft_pattern_pays_like_the_plain_one(completion: str) -> None:
    plain = re.match(r".*?<reasoning>.*?</reasoning>\s*<answer>.*?</answer>", completion)
    assert MENU["soft_format"](completion, "72") == (0.5 if plain else 0.0)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_xmlcount_is_the_sum_that_the_reference_describes(completion: str) -> None:
    pieces = ("\n<reasoning>", "</reasoning>\n\n<answer>", "\n</answer>\n", "\n<reasoning>\n")
    expected = sum(0.125 for piece in pieces if completion.count(piece) == 1)
    expected -= 0.001 * len(completion.split("\n</answer>\n")[-1])
    expected -= 0.001 * (len(completion.split("\n<reasoning>\n")[-1]) - 1)
    assert MENU["xmlcount"](completion, "72") == pytest.approx(expected, abs=1e-12)


def test_the_known_faults_are_kept() -> None:
    asked_for = "<reasoning>\n48 / 2 = 24\n48 + 24 = 72\n</reasoning>\n<answer>\n72\n</answer>\n"
    assert MENU["soft_format"](asked_for, "72") == 0
    assert MENU["strict_format"](asked_for, "72") == 0
    assert MENU["correctness"]("<answer>1,000</answer>", "1000") == 0
    assert MENU["int"]("<answer>-3</answer>", "-3") == 0
    assert MENU["xmlcount"]("a" * 1000, "72") < MENU["xmlcount"]("a" * 10, "72")
