"""Confidence intervals, a paired test, and sampled accuracy. Pure."""

from collections.abc import Sequence
from typing import Any

SIGNIFICANCE = 0.05
CONFIDENCE = 0.95
RESAMPLES, SEED = 10_000, 0  # of the signs of differences: the same records give the same figures
BATCH = 500  # resamples drawn at once: 500 x 2,000 rows are 8 MB
ASSUMED_CHURN = 0.2  # share of rows that change sides, before it is known
FEWEST_CHANGED = 6  # rows, all to one side: 2 / 2^6 is the first p-value below SIGNIFICANCE
FEW_CHANGED = 20  # rows: below, an interval of means is too narrow, for it rests on what so few of them gained
LEAST_PAIRS = 50  # below, no verdict: the tests hold, but a verdict would rest on a handful of changed rows
IMPROVED, UNCHANGED, WORSE = "improved", "no evidence of a change", "worse"
COLLAPSED, UNJUDGED = "collapsed", "not judged"


def wilson(successes: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval for a share (E. B. Wilson, JASA 22, 1927).

    >>> [round(bound, 3) for bound in wilson(36, 100)]
    [0.273, 0.458]
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p-value of McNemar's exact test (Q. McNemar, Psychometrika 12, 1947).

    >>> round(mcnemar(9, 1), 4)
    0.0215
    """
    from scipy.stats import binomtest

    changed = gained + lost
    return float(binomtest(gained, changed, 0.5).pvalue) if changed else 1.0


def paired_interval(gained: int, lost: int, rows: int) -> tuple[float, float]:
    """Adjusted Wald 95 % interval for accuracy after minus before: one row more gained, and one more lost.

    D. G. Bonett and R. M. Price, J. Educational and Behavioral Statistics 37, 2012. Unlike a bootstrap's it has a
    width where no row changed, or all changed to one side.

    >>> [round(bound, 3) for bound in paired_interval(0, 0, 100)]
    [-0.027, 0.027]
    >>> [round(bound, 3) for bound in paired_interval(2, 0, 2)]
    [-0.349, 1.0]
    """
    from scipy.stats import norm

    more, less, asked = gained + 1, lost + 1, rows + 2
    middle = (more - less) / asked
    error = norm.ppf((1 + CONFIDENCE) / 2) * (((more + less) / asked - middle**2) / asked) ** 0.5
    return float(max(-1.0, middle - error)), float(min(1.0, middle + error))


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Chance that at least one of `k` completions is correct, if `right` of `samples` are.

    The unbiased estimator 1 - C(n-c, k) / C(n, k), as a product that cannot overflow (M. Chen et al.,
    "Evaluating Large Language Models Trained on Code", 2021, section 2.1).

    >>> pass_at_k(4, 2, 1), round(pass_at_k(4, 2, 2), 4)
    (0.5, 0.8333)
    """
    import numpy as np

    if not 1 <= k <= samples or not 0 <= right <= samples:
        raise ValueError(f"pass@{k} of {samples} samples with {right} right is not defined")
    if samples - right < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - right + 1, samples + 1)))


def sampled(right: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """avg@k and pass@1, 2, 4, ... k over rows of `k` graded completions each.

    >>> sampled([[True, False], [False, False]])
    {'k': 2, 'avg': 0.25, 'pass': {'1': 0.25, '2': 0.5}}
    """
    k = len(right[0])
    sizes = sorted({*(2**power for power in range(k.bit_length()) if 2**power <= k), k})
    counts = [sum(row) for row in right]
    return {
        "k": k,
        "avg": sum(counts) / (k * len(counts)),
        "pass": {str(size): sum(pass_at_k(k, count, size) for count in counts) / len(counts) for size in sizes},
    }


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired mean: under no effect each difference is as likely with the other sign.

    p = (1 + c) / (1 + B), c of B = 10,000 random sign patterns with a mean at least as far from 0 (R. A. Fisher, The
    Design of Experiments, 1935, section 21; B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010, for the
    two ones). For differences of -1, 0 and 1 all patterns together give McNemar's exact p-value.

    >>> sign_flip([0.0, 0.0]), sign_flip([0.5] * 20) < 0.001
    (1.0, True)
    """
    import numpy as np

    changed = np.array([value for value in differences if value])
    if not len(changed):
        return 1.0
    random, observed = np.random.default_rng(SEED), abs(changed.sum()) - 1e-9 * np.abs(changed).sum()
    extreme = 0
    for _ in range(RESAMPLES // BATCH):
        signs = random.integers(0, 2, size=(BATCH, len(changed)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ changed) >= observed).sum())
    return (1 + extreme) / (1 + RESAMPLES)


def mean_interval(numbers: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of a mean (Biometrika 6, 1908), of no width where all are equal. At least one number.

    Too narrow where few of them differ from the others, see FEW_CHANGED, as a bootstrap's is; but unlike that it
    agrees with `sign_flip`: of 100 rows with 10 graded gains and losses it leaves 0 out at p above 0.05 in 1 of 100.

    >>> [round(bound, 3) for bound in mean_interval([0.0, 0.5, 1.0])], mean_interval([0.5, 0.5])
    ([-0.742, 1.742], (0.5, 0.5))
    """
    from scipy.stats import t

    mean, error = mean_and_error(numbers)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, max(1, len(numbers) - 1))) * error
    return mean - reach, mean + reach


def smallest_visible_change(churn: float, rows: int) -> float:
    """The change in a share that a paired test finds 4 times out of 5: 2.8 * sqrt(churn / rows).

    2.8 = z(0.975) + z(0.80), and sqrt(churn / rows) is the standard error of a difference of paired shares in
    which `churn` of the rows change sides (J. Miettinen, Biometrics 24, 1968). With few changed rows more: fewer than
    FEWEST_CHANGED are never significant. At least one row.

    >>> round(smallest_visible_change(0.2, 200), 3), smallest_visible_change(0.0, 200)
    (0.089, 0.03)
    """
    return max(float(2.8 * (churn / rows) ** 0.5), FEWEST_CHANGED / rows)


def mean_and_error(numbers: Sequence[float]) -> tuple[float, float]:
    """The mean, and its standard error. At least one number.

    >>> mean_and_error([1.0, 0.0, 0.0, 1.0, 0.0])[0]
    0.4
    """
    mean = sum(numbers) / len(numbers)
    variance = sum((value - mean) ** 2 for value in numbers) / max(1, len(numbers) - 1)
    return mean, float((variance / len(numbers)) ** 0.5)


def lower_end(values: Sequence[float]) -> float:
    """The lower end of the 95 % interval of a mean: Wilson's where every value is 0 or 1, else Student's.

    >>> round(lower_end([1.0] * 64), 3), lower_end([0.5] * 10)
    (0.943, 0.5)
    """
    if all(value in (0.0, 1.0) for value in values):
        return wilson(round(sum(values)), len(values))[0]
    return mean_interval(values)[0]


def verdict(difference: float, p_value: float, rows: int) -> str:
    """What the paired test alone says; `verdict.judge` asks for more before it says improved.

    >>> verdict(0.1, 0.001, 200), verdict(0.1, 0.2, 200), verdict(0.5, 0.001, 20)
    ('improved', 'no evidence of a change', 'not judged')
    """
    if rows < LEAST_PAIRS:
        return UNJUDGED
    if p_value >= SIGNIFICANCE:
        return UNCHANGED
    return IMPROVED if difference > 0 else WORSE


def compare(before: Sequence[float | None], after: Sequence[float | None]) -> dict[str, Any]:
    """Means before and after over the same rows in the same order, with intervals and p-value. At least one row.

    Where every value is 0 or 1 these are shares, with Wilson's intervals and McNemar's test; else
    Student's and random sign flips. None (what a reward could not grade) counts 0, as in training, and is
    counted in `ungraded`; `graded` counts the rows without one. `gained` and `lost`: rows whose value rose, and fell.
    """
    old, new = ([float(value or 0.0) for value in side] for side in (before, after))
    differences = [late - early for early, late in zip(old, new, strict=True)]
    rows = len(differences)
    gained, lost = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    found = _compare_shares if all(value in (0.0, 1.0) for value in [*old, *new]) else _compare_means
    return {
        "rows": rows,
        "before": sum(old) / rows,
        "after": sum(new) / rows,
        "difference": sum(differences) / rows,
        "gained": gained,
        "lost": lost,
        "graded": sum(None not in pair for pair in zip(before, after, strict=True)),
        "ungraded": {"before": sum(value is None for value in before), "after": sum(value is None for value in after)},
        **found(old, new),
    }


def _compare_shares(old: Sequence[float], new: Sequence[float]) -> dict[str, Any]:
    rows = len(old)
    gained = sum(late > early for early, late in zip(old, new, strict=True))
    lost = sum(late < early for early, late in zip(old, new, strict=True))
    return {
        "before_interval": wilson(round(sum(old)), rows),
        "after_interval": wilson(round(sum(new)), rows),
        "difference_interval": paired_interval(gained, lost, rows),
        "p_value": mcnemar(gained, lost),
    }


def _compare_means(old: Sequence[float], new: Sequence[float]) -> dict[str, Any]:
    differences = [late - early for early, late in zip(old, new, strict=True)]
    return {
        "before_interval": mean_interval(old),
        "after_interval": mean_interval(new),
        "difference_interval": mean_interval(differences),
        "p_value": sign_flip(differences),
    }
