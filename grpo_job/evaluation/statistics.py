"""Is the difference real: an interval for each accuracy, and a paired test for the change. Pure."""

from collections.abc import Sequence
from typing import Any

from scipy.stats import binomtest

SIGNIFICANCE = 0.05


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share (E. B. Wilson, JASA 22, 1927)."""
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(newly_right: int, newly_wrong: int) -> float:
    """Two-sided p-value of McNemar's exact test: the changed rows as tosses of a fair coin."""
    changed = newly_right + newly_wrong
    return float(binomtest(newly_right, changed, 0.5).pvalue) if changed else 1.0


def compare(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    """Shares before and after over the same rows in the same order, with intervals, p-value and verdict."""
    pairs = list(zip(before, after, strict=True))
    newly_right = sum(new and not old for old, new in pairs)
    newly_wrong = sum(old and not new for old, new in pairs)
    p_value = mcnemar(newly_right, newly_wrong)
    return {
        "rows": len(pairs),
        "before": sum(before) / len(pairs),
        "after": sum(after) / len(pairs),
        "before_interval": wilson(sum(before), len(pairs)),
        "after_interval": wilson(sum(after), len(pairs)),
        "newly_right": newly_right,
        "newly_wrong": newly_wrong,
        "p_value": p_value,
        "verdict": _verdict(newly_right, newly_wrong, p_value),
    }


def _verdict(newly_right: int, newly_wrong: int, p_value: float) -> str:
    if p_value >= SIGNIFICANCE:
        return "no evidence of a change"
    return "improved" if newly_right > newly_wrong else "worse"
