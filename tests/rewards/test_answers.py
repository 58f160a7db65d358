"""The answer is found as it is written, and is right when it is the same value: no more, no less."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_job.rewards import latex, quantities
from grpo_job.rewards.answers import correct, correct_anywhere, equal, extract_answer, last_answer

HERE = Path(__file__).parent
STYLES = [json.loads(line) for line in (HERE / "extraction_styles.jsonl").read_text(encoding="utf-8").splitlines()]
GOLD = (HERE.parent / "data" / "gsm8k_answers.txt").read_text(encoding="utf-8").splitlines()
REAL_ROWS = HERE.parents[2] / "shared" / "data" / "gsm8k"


def in_format(answer: str) -> str:
    return f"<reasoning>\nFirst this.\nThen that.\n</reasoning>\n<answer>\n{answer}\n</answer>\n"


def grouped(number: str) -> str:
    """The number with thousands separators: 1000 as 1,000."""
    whole, point, decimals = number.replace(",", "").partition(".")
    return f"{int(whole):,}{point}{decimals}"


def test_the_table_has_more_than_a_hundred_styles() -> None:
    assert len({row["style"] for row in STYLES}) > 100


@pytest.mark.parametrize("row", STYLES, ids=[row["style"] for row in STYLES])
def test_each_style_is_read_and_judged_as_the_table_says(row: dict[str, str]) -> None:
    completion, answer = row["completion"], row["answer"]
    assert extract_answer(completion) == row["strict"]
    assert last_answer(completion) == row["lenient"]
    assert correct(completion, answer) == row["correct"]
    assert correct_anywhere(completion, answer) == row["anywhere"]


def test_all_gold_answers_of_gsm8k_are_right_with_and_without_separators() -> None:
    assert len(GOLD) == 8792
    for gold in GOLD:
        for written in (gold, grouped(gold), gold.replace(",", ""), f"${grouped(gold)}.00"):
            assert correct(in_format(written), gold) == 1.0, (written, gold)
        assert correct_anywhere(f"So that makes {grouped(gold)}.", gold) == 1.0, gold


def test_the_neighbours_of_gold_answers_are_wrong() -> None:
    for gold in GOLD[:500]:
        value = int(gold.replace(",", ""))
        for written in (
            str(value + 1),
            f"{value + 1:,}",
            f"{value}.5",
            f"{value}0" if value else "10",
            f"-{value + 1}",
        ):
            assert correct(in_format(written), gold) == 0.0, (written, gold)


@pytest.mark.skipif(not REAL_ROWS.is_dir(), reason="compares the copied answers with the rows, where they are")
def test_the_copied_answers_are_those_of_the_rows() -> None:
    rows = [
        json.loads(line)["answer"]
        for split in ("train", "test")
        for line in (REAL_ROWS / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [row.split("####")[-1].strip() for row in rows] == GOLD


@pytest.mark.parametrize("reward", [correct, correct_anywhere])
def test_a_row_without_an_answer_cannot_be_graded(reward: object) -> None:
    assert callable(reward)
    assert reward(in_format("72"), "") is None
    assert reward("", "  \n") is None


@settings(deadline=None, max_examples=300)
@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_integers_are_equal_exactly_when_their_values_are(one: int, other: int) -> None:
    assert equal(f"{one:,}", str(one))
    assert equal(f"$ {one}.00", f"{one:,}")
    assert equal(f"{one:,}", f"{other}.0") == (one == other)


@settings(deadline=None, max_examples=300)
@given(st.integers(-999, 999), st.integers(1, 99), st.integers(1, 9))
def test_fractions_are_equal_when_reduced_and_in_latex(numerator: int, divisor: int, factor: int) -> None:
    gold = f"{numerator}/{divisor}"
    assert equal(f"{numerator * factor}/{divisor * factor}", gold)
    assert equal(rf"\frac{{{numerator}}}{{{divisor}}}", gold)
    assert not equal(f"{numerator + 1}/{divisor}", gold)


@settings(deadline=None, max_examples=300)
@given(st.text("0123456789.,-/$%= ()x", max_size=12), st.text("0123456789.,-/$%= ()x", max_size=12))
def test_equality_is_symmetric_and_holds_of_a_text_and_itself(one: str, other: str) -> None:
    assert equal(one, one)
    assert equal(one, other) == equal(other, one)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60), st.sampled_from(["72", "2/3", "x = 5", "Paris"]))
def test_whatever_is_written_is_graded_the_same_twice(completion: str, gold: str) -> None:
    for reward in (correct, correct_anywhere):
        score = reward(completion, gold)
        assert score in (0.0, 1.0)
        assert reward(completion, gold) == score


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=20), st.one_of(st.text(max_size=20), st.lists(st.text(max_size=5)), st.none()))
def test_whatever_a_row_has_as_options_is_graded(text: str, options: object) -> None:
    assert correct(f"<answer>{text}</answer>", "B", choices=options) in (0.0, 1.0)


@pytest.mark.parametrize("label", ["{})", "({})", "{}. ", "{}:"])
def test_the_right_options_text_is_right_however_its_letter_is_set_before_it(label: str) -> None:
    options = [label.format(letter) + text for letter, text in zip("ABC", ("21", "21.5", "22"), strict=True)]
    assert correct("<answer>21.5</answer>", "B", options=options) == 1.0
    assert correct("<answer>21</answer>", "B", options=options) == 0.0


@pytest.mark.parametrize(
    "options",
    [
        [{"label": "A", "text": "Rome"}, {"label": "B", "text": "Nice 'n' Paris"}],
        [{"key": "A", "value": "Rome"}, {"key": "B", "value": "Nice 'n' Paris"}],
        """['Rome' "Nice 'n' Paris"]""",
        """['Rome'\n "Nice 'n' Paris"]""",
        """{'text': array(['Rome', "Nice 'n' Paris"], dtype=object), 'label': array(['A', 'B'], dtype=object)}""",
    ],
)
def test_the_right_options_text_is_right_in_the_shapes_of_json_and_csv(options: object) -> None:
    assert correct("<answer>Nice 'n' Paris</answer>", "B", choices=options) == 1.0
    assert correct("<answer>(B) Rome</answer>", "B", choices=options) == 0.0
    assert correct("<answer>Rome</answer>", "B", choices=options) == 0.0


@pytest.mark.parametrize("options", ["[" * 5000, "['a' 'b", "[{'label': 'A'}]", "array([" * 1000, [{"text": "a"}]])
def test_options_that_cannot_be_read_are_none(options: object) -> None:
    assert correct("<answer>B</answer>", "B", choices=options) == 1.0


def test_a_letter_that_is_no_label_stays_in_its_option() -> None:
    assert correct("<answer>A.D.</answer>", "B", options=["B.C.", "A.D."]) == 1.0
    assert correct("<answer>D.</answer>", "B", options=["B.C.", "A.D."]) == 0.0


@pytest.mark.parametrize(
    ("given", "paid"),
    [
        ("(C) John F. Kennedy", 1.0),
        ("C. John F. Kennedy", 1.0),
        ("(D) J. Edgar Hoover", 0.0),
        ("(C) J. Edgar Hoover", 0.0),
    ],
)
def test_initials_in_an_options_text_are_no_letters(given: str, paid: float) -> None:
    options = ["Thomas Jefferson", "George Washington", "John F. Kennedy", "J. Edgar Hoover"]
    assert correct(f"<answer>{given}</answer>", "C", options=options) == paid
    assert correct("<answer>J. Edgar Hoover</answer>", "D", options=options) == 1.0


def test_the_letter_of_one_option_with_the_number_of_another_is_wrong() -> None:
    options = ["A)21", "B)21.5", "C)22"]
    assert correct("<answer>B) 21.5</answer>", "B", options=options) == 1.0
    assert correct("<answer>C) 21.5</answer>", "B", options=options) == 0.0


def test_options_that_are_empty_are_no_answer() -> None:
    assert correct("<answer>0</answer>", "1", choices=[""]) == 0.0


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30))
def test_what_stands_in_the_last_block_is_the_answer(answer: str) -> None:
    if "<" not in answer:
        assert extract_answer(f"<answer>1</answer><answer>{answer}</answer>") == (answer.strip() or None)


LONG = 10_000_000
NASTY = {
    "tower of powers": "9**9**9**9",
    "tower in LaTeX": "9^{9^{9^{9}}}",
    "huge exponent": "1e999999999",
    "huge power of ten": "10^999999999",
    "factorials": "99999!!!!",
    "long number": "9" * LONG,
    "many groups": "1,111" + ",111" * 1_000_000,
    "nested fractions": r"\frac{1}{" * 20_000 + "1" + "}" * 20_000,
    "nested roots": r"\sqrt{2+" * 9 + "2" + "}" * 9,
    "nested brackets": "(" * 200 + "1" + ")" * 200,
    "nested lists": "(1," * 25 + "1" + ")" * 4,
    "open boxes": r"\boxed{" * 100_000,
    "open fraction": r"\frac{" + " " * 480,
    "backticks": "`" * 499,
    "dollars": "$" * 499,
    "quotes": "\"'" * 249,
    "open answers": "<answer>" * 1_000_000,
    "closed answers": "</answer>" * 1_000_000,
    "answers": "<answer>1</answer>" * 500_000,
    "hashes": "#" * LONG,
    "headings": "#### 1x\n" * 100_000,
    "white space": " " * LONG,
    "zero bytes": "\0" * 1000,
    "sum to infinity": r"\sum_{n=1}^{\infty} \frac{1}{n^2}",
    "product": r"\prod_{n=1}^{99999999} n",
    "integral": r"\int_0^1 e^{-x^2} dx",
    "big power": "(x+y+z+1)^{99}",
    "powers of powers": "((9^{99})^{99})^{99}",
    "power of a letter": r"123456789012^x \cdot \tan(2)^{x}",
    "code": "__import__('os').system('true')",
}


@pytest.mark.parametrize("name", NASTY)
def test_of_no_answer_however_nasty_more_is_read_than_its_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads in more than one pass gets 500 characters at most; what searches gets the last 20,000."""
    lengths: list[int] = []

    def spelled_alike(text: str) -> str:
        lengths.append(len(text))
        return spell(text)

    spell = latex.spelled_alike
    monkeypatch.setattr(latex, "spelled_alike", spelled_alike)
    nasty = NASTY[name]
    for completion in (nasty, f"<answer>{nasty}</answer>", f"<answer>{nasty}"):
        for gold in ("72", r"\sqrt{2}", "x^2"):
            assert correct(completion, gold) == 0.0
            assert correct_anywhere(completion, gold) == 0.0
    assert correct(f"<answer>{nasty}0</answer>", nasty) in (0.0, 1.0, None)
    assert max(lengths, default=0) <= quantities.LONGEST


def test_answers_are_graded_in_many_threads_at_once() -> None:
    pairs = [(r"\frac{\sqrt{8}}{2}", r"\sqrt{2}"), ("x^2+2x+1", "(x+1)^2"), ("1,000", "1000"), ("x^2", "x^3")] * 6
    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(lambda pair: correct(in_format(pair[0]), pair[1]), pairs))
    assert scores == [1.0, 1.0, 1.0, 0.0] * 6


@pytest.mark.parametrize("math", [r"$\frac{1}{2}$", r"\(\frac{1}{2}\)", r"\[\frac{1}{2}\]"])
def test_the_only_math_of_a_sentence_is_its_answer(math: str) -> None:
    assert correct(f"<answer>Thus {math} of it.</answer>", "1/2") == 1.0
    assert correct(f"<answer>Thus not {math} of it.</answer>", "1/2") == 0.0


@pytest.mark.parametrize("gold", ["A", "B", "72"])
def test_the_letter_of_one_option_with_what_another_says_is_no_choice(gold: str) -> None:
    assert correct("<answer>B. It is 72</answer>", gold, choices=["72", "73"]) == 0.0
    assert correct("<answer>B) the value is 72</answer>", gold, choices=["72", "73"]) == 0.0


def test_a_letter_with_what_its_own_option_says_is_a_choice() -> None:
    assert correct("<answer>A. It is 72</answer>", "A", choices=["72", "73"]) == 1.0
