"""A short text is read as one number with its unit, or not at all."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_job.rewards.latex import unwrap
from grpo_job.rewards.quantities import Quantity, plain, quantity, same_quantity


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("72", 72, ()),
        ("$1,234.50", "1234.5", ("dollar",)),
        ("US$72", 72, ("dollar",)),
        ("72 miles/hour", 72, ("miles", "per", "hour")),
        ("3 hundred", 300, ()),
        ("$72k", 72000, ("dollar",)),
        ("2.5 million people", 2500000, ("people",)),
        ("6 dozen eggs", 6, ("dozen", "eggs")),
        ("15 ¢", 15, ("cents",)),
        ("٧٢", 72, ()),
        ("1e-2", "0.01", ()),
        ("-10^{-2}", "-0.01", ()),
        ("2½ cups", "5/2", ("cups",)),
        ("5 m", 5, ("m",)),
        ("48 x 2 = 96", 96, ()),
    ],
)
def test_value_and_unit_are_read(text: str, value: object, unit: tuple[str, ...]) -> None:
    assert quantity(text) == Quantity(Fraction(str(value)), unit)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "-", "$", "%", "apples", "1.2.3", "1,23", "--3", "3-", "5 + 3", "3:30", "2x", "2 x", "3ab", "2 pi"),
        *("1 2", "1 of 3", "2 thirds", "72 or so", "1/0", "0x48", "2x + 1 = 5", "10^", "1e", "∞", "nan", "inf"),
    ],
)
def test_what_is_not_one_number_is_not_read(text: str) -> None:
    assert quantity(text) is None


def test_a_unit_contradicts_only_another_unit() -> None:
    hours, minutes, none = (Quantity(Fraction(3), unit) for unit in (("hours",), ("minutes",), ()))
    assert same_quantity(hours, none)
    assert same_quantity(none, minutes)
    assert not same_quantity(hours, minutes)


def test_wrapping_is_taken_off_in_layers() -> None:
    assert unwrap(" **$\\boxed{\\text{72 apples}}$**. ") == "72 apples"
    assert unwrap("$5 and $6") == "$5 and $6"


def test_a_text_beyond_the_longest_is_not_read() -> None:
    assert quantity("1" * 500) is not None
    assert quantity("1" * 501) is None


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    plain(text)
    read = quantity(text)
    assert read is None or isinstance(read.value, Fraction)


@settings(deadline=None, max_examples=200)
@given(
    st.decimals(-(10**9), 10**9, places=4), st.sampled_from(["", "$", "€"]), st.sampled_from(["", " apples", " kg."])
)
def test_every_decimal_is_read_exactly(number: object, currency: str, unit: str) -> None:
    read = quantity(f"{currency}{number:,f}{unit}")
    assert read is not None
    assert read.value == Fraction(str(number))
