"""Algebra says what is equal, only for what is small enough, and leaves the process's alarms alone."""

import signal
import subprocess
import sys

import pytest

from grpo_job.rewards.formulas import formula
from grpo_job.rewards.symbolic import same_expression


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        (r"\frac{\sqrt{8}}{2}", r"\sqrt{2}"),
        ("sqrt(2)", "√2"),
        ("x^2 + 2x + 1", "(x+1)^2"),
        ("2xy+1", "1+2yx"),
        ("x**2", "x²"),
        (r"\dfrac{\pi}{2}", "0.5π"),
        ("2^{10}", "1024"),
        (r"\sin(x)^2+\cos(x)^2", "1"),
        (r"\sqrt[3]{8}", r"\frac{4}{2}"),
        ("0.1x", r"\frac{x}{10}"),
        ("|x|", r"\sqrt{x^2}"),
        ("x^{1/2}", r"\sqrt{x}"),
    ],
)
def test_equal_expressions_are_equal(given: str, gold: str) -> None:
    assert same_expression(given, gold)
    assert same_expression(gold, given)


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        ("1.414214", r"\sqrt{2}"),
        ("1.4142135623730951", r"\sqrt{2}"),
        (r"\frac{22}{7}", r"\pi"),
        ("x", r"\sqrt{x^2}"),
        ("x+1", "y+1"),
        ("2h", "2"),
        ("10^{15}", "10^{15}+1"),
        ("1/0", "1/0+1"),
        (r"\ln 0", r"\ln 0 + 1"),
        ("no", "on"),
        ("x^", "x^+0"),
        ("x = 2", "2"),
        ("", ""),
    ],
)
def test_other_expressions_are_not_equal(given: str, gold: str) -> None:
    assert not same_expression(given, gold)
    assert not same_expression(gold, given)


@pytest.mark.parametrize(
    "text",
    [
        *(
            r"\sum_{n=1}^9 n",
            r"\int x dx",
            r"\text{a}",
            "abc+1",
            r"\input{x}",
            "x_1+1",
            "a,b",
            "on",
            "no formula",
            "",
            "(",
            "1 +",
        ),
        *(
            "+".join("1" * 100),
            "(" * 13 + "1" + ")" * 13,
            "|" * 50,
            "^" * 50,
            r"\frac" * 20,
            "1" * 151,
            "2^",
            "_",
            "x!",
        ),
    ],
)
def test_what_is_outside_the_grammar_is_no_formula(text: str) -> None:
    assert formula(text) is None
    assert not same_expression(text, "x+1")


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "9^{9^9}",
        "(9^{99})^{99}^{99}",
        "((9^{99})^{99})^{99}",
        "x^{10^9}",
        r"e^{e^{e^{e^9}}}",
        r"\sin(9^{999})",
    ],
)
def test_a_number_that_would_be_huge_has_no_value(text: str) -> None:
    assert not same_expression(text, text + "+0")


def test_evaluation_takes_no_more_operations_than_the_text_has_characters() -> None:
    class Counting:
        operations = 0

        def mpf(self, text: str) -> "Counting":
            return self

        def count(self, *_: object) -> "Counting":
            Counting.operations += 1
            return self

        __add__ = __sub__ = __mul__ = __truediv__ = __neg__ = __abs__ = count

    text = "-".join(["(1+2*3/4)"] * 15)
    read = formula(text)
    assert read is not None
    read.evaluate(Counting(), {})
    assert 0 < Counting.operations < len(text)


def test_another_alarm_of_the_process_stays_set() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        assert same_expression("x+1", "1+x")
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 500
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_grading_imports_nothing_heavy() -> None:
    code = """
import sys
from grpo_job.rewards import MENU
for given in ("72", "1,000", "$72", "72 apples", "2/3", "no", "48 + 24", "(1,2)", r"\\sqrt{5184}"):
    for name in ("correct", "correct_anywhere", "format_tags", "tag_count", "exact", "choice", "int", "correctness"):
        MENU[name](f"<reasoning>a</reasoning><answer>{given}</answer>", "72")
heavy = {"sympy", "math_verify", "torch", "transformers", "trl", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
