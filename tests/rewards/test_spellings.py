"""One answer in many spellings, and its near misses: the same verdict in tags, in bold, in a box and in math signs."""

import json
from pathlib import Path

import pytest

from grpo_job.rewards import MENU, as_trl_function, load
from grpo_job.rewards.answers import correct

ROWS = [
    json.loads(line) for line in Path(__file__).with_name("spellings.jsonl").read_text(encoding="utf-8").splitlines()
]


def paid(given: str, gold: str) -> bool:
    return correct(f"<reasoning>\nwork\n</reasoning>\n<answer>\n{given}\n</answer>", gold) == 1.0


def test_there_are_more_than_a_thousand_spellings() -> None:
    assert sum(len(row["right"]) for row in ROWS) > 1000
    assert sum(len(row["wrong"]) for row in ROWS) > 700


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["gold"])
def test_each_spelling_is_paid_and_no_near_miss_is(row: dict[str, list[str]]) -> None:
    gold = str(row["gold"])
    assert [given for given in row["right"] if not paid(given, gold)] == []
    assert [given for given in row["wrong"] if paid(given, gold)] == []


@pytest.mark.parametrize("gold", ["B", "(B)", "B. Paris", "Paris"])
@pytest.mark.parametrize(
    "column",
    [
        ["Rome", "Paris", "Oslo"],
        ["A. Rome", "B. Paris", "C. Oslo"],
        {"A": "Rome", "B": "Paris", "C": "Oslo"},
        {"label": ["A", "B", "C"], "text": ["Rome", "Paris", "Oslo"]},
        "A) Rome B) Paris C) Oslo",
        "a ) Rome , b ) Paris , c ) Oslo",
        '["Rome", "Paris", "Oslo"]',
    ],
)
def test_where_the_row_has_options_the_letter_its_text_and_both_are_right(gold: str, column: object) -> None:
    written = ["B", "(b)", "Paris", "The answer is Paris.", "(B) Paris", "A", "Rome", "(B) Rome", "(A) Paris", "Oslo"]
    reward = as_trl_function(load([("correct", 1.0)])[0])
    for name in ("choices", "options"):
        batch = {name: [column] * len(written), "answer": [gold] * len(written)}
        scores = reward(completions=[f"<answer>{each}</answer>" for each in written], **batch)
        assert scores == [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "answer", "other"),
    [
        (r"The answer is $\frac{1+\sqrt{5}}{2}$.", r"\frac{1+\sqrt{5}}{2}", "2"),
        ("The answer is $x+1$.", "1+x", "1"),
        ("So it is 2x + 1.", "2x+1", "1"),
        ("so we get $[2, 5)$.", "[2,5)", "5"),
        ("x is in [2, 5).", "2 <= x < 5", "5"),
        ("The point is $(3,4)$", "(3,4)", "4"),
        ("The answer is 3:4", "6:8", "4"),
        (r"It is $\log_2 7$", r"\frac{\ln 7}{\ln 2}", "7"),
        ("We need x > 3", "(3, \\infty)", "3"),
        ("x = 2 or x = 3", "2, 3", "3"),
        ("He ate seven apples.", "7", "1"),
        ("The correct option is (B).", "B", "A"),
        ("It is Paris.", "Paris", "Rome"),
        ("The final answer is 72 clips because she sold 48.", "72", "48"),
        ("The answer is:\n\n72", "72", "2"),
        ("The final answer is:\n**72**", "72", "2"),
        ("The answer is thus:\n\n$72$", "72", "2"),
        ("Here is the answer:\n1. She sold 48.\n2. Both make 72.", "72", "1"),
        ("Let me answer this. 48 + 24 = 72", "72", "48"),
        ("So, the answer is:\n\nB) Paris", "B", "A"),
        ("The correct option is (C) 12.", "C", "A"),
        ("(B)", "B", "A"),
        ("It has wings.\nB. Birds", "B", "A"),
        ("Yes, it is.", "yes", "no"),
        ("The date is 12/25/2024.", "December 25, 2024", "2024"),
        ("She was born on December 25, 2024.", "12/25/2024", "2024"),
        ("They meet at 3:30 PM.", "15:30", "30"),
        ("It's 3½ cups.", "3.5", "3"),
        ("She pays 12,50 €.", "12.5", "50"),
        ("It comes to 1.234,56 €", "1234.56", "56"),
        ("He paid $12 for 3 pens, so each is $4.", "4", "3"),
        ("The roots are -1 and 2.", "2, -1", "1, 2"),
        ("x = -3 or x = 5", "-3, 5", "3, 5"),
        ("The values are 12, 1/2, and 3.", "3, 12, 0.5", "2, 3"),
        ("The ratio is 14:3.", "14:3", "4:3"),
        ("The ratio is 3:4:5.", "6:8:10", "4:5"),
        ("The ratio is 12 : 8.", "3:2", "8"),
        ("Step 3: 72", "72", "3:72"),
        ("It is 10 ± 2.", "10 ± 2", "0 ± 2"),
        ("La réponse est 12,5.", "12,5", "5"),
        ("The point is (12,5).", "(12, 5)", "5"),
        ("That is one thousand (1,000)", "1000", "0"),
        ("The answer is 3, not 4.", "3", "4"),
        ("She has 3 apples left (not 4).", "3", "4"),
        ("所以答案是42。", "42", "2"),
        ("一共有 48+24=72个夹子。", "72", "48"),
        ("答えは18です。", "18", "8"),
        ("คำตอบคือ18บาท", "18", "8"),
        ("so it is (12, 5", "(12, 5", "5"),
    ],
)
def test_in_free_text_the_whole_answer_counts_and_no_part_of_it(text: str, answer: str, other: str) -> None:
    assert MENU["correct_anywhere"](text, answer) == 1.0
    assert MENU["correct_anywhere"](text, other) == 0.0


@pytest.mark.parametrize("text", ["答案是42万。", "负42", "答えはマイナス42です", "2又42", "3或42"])
def test_a_number_that_letters_beside_it_make_another_is_not_read_alone(text: str) -> None:
    assert MENU["correct_anywhere"](text, "42") == 0.0
