"""Several values are equal element by element, in order where order counts."""

import pytest

from grpo_job.rewards.answers import correct, correct_anywhere
from grpo_job.rewards.lists import elements, same_elements


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("(1, 2)", ("()", ["1", "2"])),
        (r"\left(\frac{1}{2},3\right]", ("(]", [r"\frac{1}{2}", "3"])),
        (r"\{a, b\}", ("{}", ["a", "b"])),
        ("1, 2, 3", ("", ["1", "2", "3"])),
        ("((1,2),(3,4))", ("()", ["(1,2)", "(3,4)"])),
        ("72", None),
        ("(72)", None),
        ("(1,)", None),
        ("(1,2", None),
        (")1,2(", None),
        (r"(1,2)\cup(3,4)", None),
        (",".join(map(str, range(21))), None),
        ("", None),
    ],
)
def test_a_list_is_split_at_its_own_commas(text: str, split: object) -> None:
    assert elements(text) == split


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("(1,2)", "(1, 2)", True),
        ("(1,2)", "(2,1)", False),
        ("(1,2)", "[1,2]", False),
        ("{1,2}", "{2,1}", True),
        ("1,2", "2,1", True),
        ("{1,1}", "{1,2}", False),
        ("{1,2}", "{1,1}", False),
        ("(1,2)", "(1,2,3)", False),
    ],
)
def test_order_counts_in_pairs_and_not_in_sets(one: str, other: str, same: bool) -> None:
    assert same_elements(elements(one), elements(other), str.__eq__) == same


ASKS_FOR_ORDER = [
    "Sort these numbers: 3, 1, 2",
    "Sort: 3,1,2",
    "Order from least to greatest: 3, 1, 2",
    "List the roots in increasing order.",
    "Write the masses from smallest to largest.",
]
ASKS_FOR_NONE = [
    "Find all roots.",
    "What sort of numbers are they? In order to find them, factor.",
    "List the divisors in any order.",
    "The numbers a and b are, in some order, the roots. Find both.",
]


@pytest.mark.parametrize(("questions", "paid"), [(ASKS_FOR_ORDER, 0.0), (ASKS_FOR_NONE, 1.0)])
def test_the_order_of_a_bare_list_counts_where_the_question_asks_for_one(questions: list[str], paid: float) -> None:
    for question in questions:
        assert correct("<answer>3, 1, 2</answer>", "1, 2, 3", question=question) == paid
        assert correct("<answer>1, 2 and 3</answer>", "1, 2, 3", question=question) == 1.0
        assert correct_anywhere("So it is {3, 1, 2}.", r"\{1, 2, 3\}", question=question) == 1.0


@pytest.mark.parametrize(
    ("listed", "right", "wrong"),
    [
        ("- Paris\n- London", "Paris, London", "London"),
        ("* Paris\n* London.", "Paris and London", "London, Rome"),
        ("1. Paris\n2. London", '["Paris", "London"]', "Paris"),
        ("['Paris', 'London']", "Paris, London", "London, Paris"),
        ('["Paris","London"]', "['Paris', 'London']", "['London', 'Paris']"),
        ("1) 2 apples\n2) 3 pears", "2 apples, 3 pears", "3 pears"),
        ("- -5\n- 3", "-5, 3", "3"),
        ("- 71\n- 72", "71, 72", "72"),
        ("```\n- Paris\n- London\n```", "Paris, London", "Paris"),
    ],
)
def test_a_list_in_lines_or_of_quoted_texts_is_a_list(listed: str, right: str, wrong: str) -> None:
    tagged = f"<answer>\n{listed}\n</answer>"
    assert correct_anywhere(listed, right) == correct_anywhere(tagged, right) == 1.0
    assert correct(tagged, right) == correct(f"<answer>{right}</answer>", listed) == 1.0
    assert correct(tagged, wrong) == correct_anywhere(tagged, wrong) == 0.0


@pytest.mark.parametrize("gold", ['["kiwi", "pear"]', "kiwi, pear", "- kiwi\n- pear"])
def test_the_order_of_quoted_texts_counts_where_it_is_asked_for(gold: str) -> None:
    asked = "Sort these words in alphabetical order: pear, kiwi"
    for listed in ('["kiwi","pear"]', "1. kiwi\n2. pear", "kiwi, pear"):
        assert correct(f"<answer>{listed}</answer>", gold, question=asked) == 1.0
    assert correct('<answer>["pear", "kiwi"]</answer>', gold, question=asked) == 0.0
