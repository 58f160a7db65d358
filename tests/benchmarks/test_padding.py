"""The simulation of padding: lengths as they were asked for, and what each way leaves of it."""

import random
from statistics import fmean

import pytest

from benchmarks.padding import LIMIT, drawn, shares


def test_completions_have_the_mean_and_end_at_the_limit() -> None:
    rows = drawn(random.Random(1), 8000, mean=100)
    assert fmean(row.completion for row in rows) == pytest.approx(100, rel=0.05)
    assert max(row.completion for row in rows) == LIMIT


def test_dealing_leaves_least_padding_and_smaller_micro_batches_less() -> None:
    small, large = shares(64, 8, mean=200), shares(64, 32, mean=200)
    assert small.dealt < small.cut < small.trl
    assert large.dealt < large.cut < large.trl
    assert small.dealt < large.dealt
    assert small.trl == large.trl


def test_one_micro_batch_is_as_wide_as_its_longest_row() -> None:
    found = shares(64, 64, mean=200)
    assert found.trl == found.cut == found.dealt
