"""Confidence intervals, a paired test, and sampled accuracy. Pure."""

from collections.abc import Sequence
from typing import Any

SIGNIFICANCE = 0.05
CONFIDENCE = 0.95
RESAMPLES, SEED = 10_000, 0  # of the bootstrap: the same records give the same interval
IMPROVED, UNCHANGED, WORSE = VERDICTS = ("improved", "no evidence of a change", "worse")


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


def paired_bootstrap(gained: int, lost: int, rows: int) -> tuple[float, float]:
    """95% percentile interval for accuracy after minus before (B. Efron, Annals of Statistics 7, 1979).

    Rows are resampled with both answers. Only the counts of gained, lost and unchanged rows matter, and they are
    multinomial, so the counts are drawn directly.

    >>> paired_bootstrap(0, 0, 100)
    (0.0, 0.0)
    """
    import numpy as np

    kinds = np.array([gained, lost, rows - gained - lost]) / rows
    drawn = np.random.default_rng(SEED).multinomial(rows, kinds, size=RESAMPLES)
    differences = (drawn[:, 0] - drawn[:, 1]) / rows
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


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


def verdict(gained: int, lost: int, p_value: float) -> str:
    """One of `VERDICTS`.

    >>> verdict(30, 4, 0.001), verdict(3, 4, 1.0)
    ('improved', 'no evidence of a change')
    """
    if p_value >= SIGNIFICANCE:
        return UNCHANGED
    return IMPROVED if gained > lost else WORSE


def compare(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    """Shares before and after over the same rows, at least one, with intervals, p-value and verdict.

    Shares are between 0 and 1, differences between -1 and 1.
    """
    pairs = list(zip(before, after, strict=True))
    rows = len(pairs)
    gained = sum(new and not old for old, new in pairs)
    lost = sum(old and not new for old, new in pairs)
    p_value = mcnemar(gained, lost)
    return {
        "rows": rows,
        "before": sum(before) / rows,
        "after": sum(after) / rows,
        "before_interval": wilson(sum(before), rows),
        "after_interval": wilson(sum(after), rows),
        "difference": (gained - lost) / rows,
        "difference_interval": paired_bootstrap(gained, lost, rows),
        "gained": gained,
        "lost": lost,
        "p_value": p_value,
        "verdict": verdict(gained, lost, p_value),
    }
