"""Algebra says what is equal, only for what is small enough, and leaves the process's alarms alone."""

import signal
import subprocess
import sys

import pytest

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
        *("9**9**9", "9^{9^9}", "2^{101}", "(9^{99})^{99}", "99!", r"\sum_{n=1}^9 n", r"\int x dx", r"\binom{99}{9}"),
        *("1" * 13, "+".join("1" * 41), "(((((((1+1)))))))", r"\text{a}", "abc+1", r"\input{x}", "x_1+1", "a,b"),
    ],
)
def test_what_is_not_surely_small_is_not_even_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grpo_job.rewards.symbolic._reader", lambda: pytest.fail("it was read"))
    assert not same_expression(text, "x+1")
    assert not same_expression("x+1", text)


def test_another_alarm_of_the_process_stays_set() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        assert same_expression("x+1", "1+x")
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 500
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_numbers_are_graded_without_importing_sympy() -> None:
    code = """
import sys
from grpo_job.rewards import MENU
for given in ("72", "1,000", "$72", "72 apples", "2/3", "no", "48 + 24", "(1,2)"):
    for name in ("correct", "correct_anywhere", "format_tags", "tag_count", "exact", "choice", "int", "correctness"):
        MENU[name](f"<reasoning>a</reasoning><answer>{given}</answer>", "72")
heavy = {"sympy", "math_verify", "torch", "transformers", "trl", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
