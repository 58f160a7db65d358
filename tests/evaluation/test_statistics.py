"""The figures of an evaluation against independent computations: statsmodels, brute force, the rows themselves."""

import doctest
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from grpo_job.evaluation import chance, measure, statistics, verdict

counted = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def paired_answers(draw: st.DrawFn) -> tuple[list[bool], list[bool]]:
    pairs = draw(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
    return [old for old, _ in pairs], [new for _, new in pairs]


@counted
@given(st.data())
def test_wilson_intervals_agree_with_statsmodels(data: st.DataObject) -> None:
    trials = data.draw(st.integers(1, 2000))
    successes = data.draw(st.integers(0, trials))
    confidence = data.draw(st.sampled_from([0.8, 0.95, 0.99]))
    expected = proportion_confint(successes, trials, alpha=1 - confidence, method="wilson")
    assert statistics.wilson(successes, trials, confidence) == pytest.approx(expected, abs=1e-12)


@counted
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_agrees_with_statsmodels(gained: int, lost: int) -> None:
    expected = mcnemar([[10, lost], [gained, 10]], exact=True).pvalue if gained + lost else 1.0
    assert statistics.mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@counted
@given(st.data())
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_answer(data: st.DataObject) -> None:
    samples = data.draw(st.integers(1, 9))
    right = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    graded = np.arange(samples) < right
    draws = np.array(list(combinations(range(samples), k)))
    assert statistics.pass_at_k(samples, right, k) == pytest.approx(graded[draws].any(axis=1).mean(), abs=1e-12)


@counted
@given(st.integers(1, 6).flatmap(lambda k: st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=1)))
def test_sampled_accuracy_is_the_mean_over_rows(right: list[list[bool]]) -> None:
    found, graded = statistics.sampled(right), np.array(right)
    assert found["avg"] == pytest.approx(graded.mean())
    assert found["pass"]["1"] == pytest.approx(graded.mean())
    assert found["pass"][str(found["k"])] == pytest.approx(graded.any(axis=1).mean())
    assert list(found["pass"].values()) == sorted(found["pass"].values())


def test_pass_at_k_refuses_more_draws_than_samples() -> None:
    with pytest.raises(ValueError, match="pass@5 of 4 samples"):
        statistics.pass_at_k(4, 2, 5)


@counted
@given(paired_answers())
def test_comparison_counts_what_the_rows_say(answers: tuple[list[bool], list[bool]]) -> None:
    before, after = (np.array(side) for side in answers)
    found = statistics.compare(*answers)
    table = [[(before & after).sum(), (before & ~after).sum()], [(~before & after).sum(), (~before & ~after).sum()]]
    assert (found["lost"], found["gained"]) == (table[0][1], table[1][0])
    assert (found["before"], found["after"]) == pytest.approx((before.mean(), after.mean()))
    assert found["difference"] == pytest.approx(after.mean() - before.mean())
    assert found["after_interval"] == pytest.approx(proportion_confint(after.sum(), len(after), method="wilson"))
    if (before != after).any():
        assert found["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_interval_of_the_difference_agrees_with_drawing_the_rows_themselves(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = int(random.integers(80, 300))
    before, after = random.random(rows) < 0.4, random.random(rows) < 0.6
    found = statistics.compare(before.tolist(), after.tolist())["difference_interval"]
    drawn = random.integers(0, rows, size=(10_000, rows))
    differences = (after.astype(float) - before)[drawn].mean(axis=1)
    assert found == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=2.5 / rows)


@pytest.mark.parametrize(("gained", "lost", "rows"), [(0, 0, 1), (0, 0, 300), (2, 0, 2), (0, 60, 60), (5, 0, 50)])
def test_interval_of_the_difference_has_a_width_and_holds_zero_where_the_test_finds_nothing(
    gained: int, lost: int, rows: int
) -> None:
    low, high = statistics.paired_interval(gained, lost, rows)
    assert low < (gained - lost) / rows <= high or low <= (gained - lost) / rows < high
    assert (low <= 0 <= high) == (statistics.mcnemar(gained, lost) >= statistics.SIGNIFICANCE)


@pytest.mark.parametrize(("gained", "lost"), [(0.01, 0.01), (0.05, 0.01), (0.2, 0.05)])
def test_interval_of_the_difference_holds_the_true_one_in_95_of_100_samples(gained: float, lost: float) -> None:
    drawn = np.random.default_rng(0).multinomial(60, [gained, lost, 1 - gained - lost], size=1_000)
    intervals = [statistics.paired_interval(int(more), int(less), 60) for more, less, _ in drawn]
    assert np.mean([low <= gained - lost <= high for low, high in intervals]) > 0.94


@counted
@given(st.floats(-2, 2), st.integers(1, 300))
def test_the_interval_of_equal_values_holds_their_mean(value: float, rows: int) -> None:
    found = statistics.compare([value] * rows, [value] * rows)
    assert found["before_interval"][0] <= found["after"] <= found["before_interval"][1]


def test_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(0).normal(size=40).tolist()
    expected = DescrStatsW(values).tconfint_mean(alpha=0.05)
    assert statistics.mean_interval(values) == pytest.approx(expected)


def test_interval_of_a_mean_difference_holds_the_true_one_and_agrees_with_the_test_where_a_tenth_of_rows_is_paid() -> (
    None
):
    random, held, apart = np.random.default_rng(0), 0, 0
    for _ in range(200):
        before, after = ((random.random(200) < share) * random.uniform(0.2, 1, 200) for share in (0.05, 0.1))
        found = statistics.compare(before.tolist(), after.tolist())
        low, high = found["difference_interval"]
        held += low <= 0.05 * 0.6 <= high
        apart += (low <= 0 <= high) != (found["p_value"] >= statistics.SIGNIFICANCE)
    assert held >= 0.92 * 200
    assert apart <= 0.05 * 200


@pytest.mark.parametrize(("changed", "rows", "points"), [(0, 300, 2.0), (1, 60, 10.0), (60, 300, 7.2)])
def test_a_change_that_can_be_seen_is_never_of_fewer_rows_than_the_test_needs(
    changed: int, rows: int, points: float
) -> None:
    seen = statistics.smallest_visible_change(changed / rows, rows)
    assert 100 * seen == pytest.approx(points, abs=0.05)
    assert statistics.mcnemar(round(seen * rows), 0) < statistics.SIGNIFICANCE


@pytest.mark.parametrize(
    ("gained", "lost", "expected"),
    [(0, 0, "no evidence of a change"), (5, 0, "no evidence of a change"), (6, 0, "improved"), (0, 6, "worse"),
     (60, 50, "no evidence of a change"), (90, 20, "improved"), (20, 90, "worse")],
)  # fmt: skip
def test_verdict_needs_evidence_in_either_direction(gained: int, lost: int, expected: str) -> None:
    assert statistics.verdict((gained - lost) / 200, statistics.mcnemar(gained, lost), 200) == expected


def test_no_verdict_below_fifty_pairs() -> None:
    assert statistics.verdict(1.0, 1e-9, 49) == "not judged"
    assert statistics.verdict(1.0, 1e-9, 50) == "improved"


@pytest.mark.parametrize(("gained", "lost"), [(9, 1), (6, 4), (30, 15), (3, 14)])
def test_sign_flips_of_right_and_wrong_are_mcnemars_test(gained: int, lost: int) -> None:
    differences = [1.0] * gained + [-1.0] * lost + [0.0] * 50
    assert statistics.sign_flip(differences) == pytest.approx(statistics.mcnemar(gained, lost), abs=0.015)


def test_sign_flips_agree_with_all_patterns() -> None:
    differences = [0.5, 1.25, -0.25, 2.0, 0.75, -1.0, 0.5, 1.5, 0.25, 1.0]
    signs = np.array(list(product([-1, 1], repeat=len(differences))))
    exact = (np.abs(signs @ differences) >= abs(sum(differences)) - 1e-12).mean()
    assert statistics.sign_flip(differences) == pytest.approx(exact, abs=0.01)


def test_what_could_not_be_graded_counts_nothing_and_is_counted() -> None:
    found = statistics.compare([0.5, None, 1.0], [1.5, 0.0, None])
    assert found["ungraded"] == {"before": 1, "after": 1}
    assert (found["before"], found["after"]) == (0.5, 0.5)
    assert (found["gained"], found["lost"]) == (1, 1)


@pytest.mark.parametrize("module", [statistics, verdict, chance, measure])
def test_examples_in_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
