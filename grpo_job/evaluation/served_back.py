"""Whether a published adapter answers as the run recorded: by its greedy answers to the recorded prompts. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from grpo_job.evaluation import statistics
from grpo_job.evaluation.measure import Measure

Record = Mapping[str, Any]
# Of these nats two tokens are equally likely to another kernel: fp32 against fp32, and where 16 bits take part.
TIE, TIE_IN_16_BITS = 0.01, 0.25
# Of the answers that differ, the share that may differ by more than a tie, and the p-value under which it is more.
NO_TIES, SIGNIFICANT = 0.1, 0.01
NOTHING = 0.1  # an adapter that changes fewer answers than this share of those that it changed changes none


class Side(NamedTuple):
    """What was recorded before or after training, and the answers of today with their gaps in nats."""

    recorded: Sequence[Record]
    answers: Sequence[str]
    gaps: Sequence[float]

    def counts(self, tie: float) -> dict[str, int]:
        """Rows that were `alike`, that differ by a `tie`, and that differ by more (`unexplained`).

        >>> Side([{"completion": "a"}, {"completion": "b"}], ["a", "c"], [0.0, 3.0]).counts(0.25)
        {'alike': 1, 'ties': 0, 'unexplained': 1}
        """
        known = [row["completion"] for row in self.recorded]
        differing = [gap for one, text, gap in zip(known, self.answers, self.gaps, strict=True) if one != text]
        ties = sum(gap <= tie for gap in differing)
        alike = len(self.recorded) - len(differing)
        return {"alike": alike, "ties": ties, "unexplained": len(differing) - ties}


def too_many(counts: Mapping[str, int]) -> bool:
    """Whether more answers differ than ties explain: most of all, or an exact binomial test of those that differ.

    Where most differences are ties, kernels made them, however many: the longer an answer, the likelier one is.
    The test finds nothing in two answers, though both be others.

    >>> too_many({"alike": 165, "ties": 303, "unexplained": 32}), too_many({"alike": 4, "ties": 2, "unexplained": 8})
    (False, True)
    """
    from scipy.stats import binomtest

    differing = counts["ties"] + counts["unexplained"]
    if not differing:
        return False
    return counts["unexplained"] > sum(counts.values()) / 2 or bool(
        binomtest(counts["unexplained"], differing, NO_TIES, alternative="greater").pvalue < SIGNIFICANT
    )


def fewer(alike: int, again: int, asked: int) -> bool:
    """Whether fewer than half of the answers are alike, and fewer than the `again` of one adapter that is asked twice.

    An adapter that always answers alike has no excuse; else Fisher's exact test decides, one-sided.

    >>> fewer(3, 8, 8), fewer(4, 8, 8), fewer(0, 6, 8), fewer(3, 4, 8)
    (True, False, True, False)
    """
    if alike >= asked / 2:
        return False
    from scipy.stats import fisher_exact

    table = [[alike, asked - alike], [again, asked - again]]
    return again == asked or bool(fisher_exact(table, alternative="less").pvalue < SIGNIFICANT)


def compare(
    after: Side,
    base: Side | None,
    tie: float,
    measure: Measure,
    grade: Callable[[Record, str], float | None],
    *,
    strict: bool = True,
) -> dict[str, Any]:
    """Counts, accuracy and `faults`. `base`: None if the answers before training were not the base's.

    `strict`: other answers are a fault. Not if the run had its base in fewer bits: then only what they are worth.

    `grade` measures another answer to a row; None if it cannot be graded here.
    """
    adapter, of_base = after.counts(tie), base.counts(tie) if base else None
    accuracy = accuracy_of(after, measure, grade)
    apart = apart_of(after, base) if base else None
    faults = [*_of_apart(apart, adapter), *_of_accuracy(accuracy)]
    if strict:
        faults = [*_of_base(of_base), *_of_adapter(adapter), *faults]
    return {
        "rows": len(after.recorded), "tie": tie, "adapter": adapter, "base": of_base, "apart": apart,
        "accuracy": accuracy, "faults": faults,
    }  # fmt: skip


def of_merged(
    merged: Side, base: Side | None, tie: float, measure: Measure, grade: Callable[[Record, str], float | None]
) -> dict[str, Any]:
    """Counts, accuracy and `faults` of the merged model: rounding may change answers, but not what they are worth."""
    accuracy = accuracy_of(merged, measure, grade)
    same = base and _of_apart(apart_of(merged, base), merged.counts(tie))
    faults = [f"the merged model: {fault}" for fault in _of_accuracy(accuracy)]
    faults += ["the merged model answers as the base does: the adapter is not in it"] if same else []
    return {**merged.counts(tie), "accuracy": accuracy, "faults": faults}


def accuracy_of(after: Side, measure: Measure, grade: Callable[[Record, str], float | None]) -> dict[str, Any]:
    """The measure as recorded on these rows, its 95% interval, today's value, on how many rows the two agree, and the
    paired p-value; today's value and its agreement are None if the answers of today cannot be graded."""
    recorded = [measure.of(row) or 0.0 for row in after.recorded]
    today = [
        value if row["completion"] == text else grade(row, text)
        for row, text, value in zip(after.recorded, after.answers, recorded, strict=True)
    ]
    graded = None not in today
    found = statistics.compare(recorded, today if graded else recorded)
    same = sum(value == other for value, other in zip(today, recorded, strict=True))
    return {
        "measure": measure.name, "recorded": found["before"], "interval": found["before_interval"],
        "asked": found["after"] if graded else None, "judged_alike": same if graded else None,
        "p_value": found["p_value"],
    }  # fmt: skip


def apart_of(after: Side, base: Side) -> dict[str, int]:
    """On how many rows adapter and base differ: as recorded, and today."""
    recorded = zip(after.recorded, base.recorded, strict=True)
    today = zip(after.answers, base.answers, strict=True)
    return {
        "recorded": sum(one["completion"] != other["completion"] for one, other in recorded),
        "asked": sum(one != other for one, other in today),
    }


def _of_base(counts: Mapping[str, int] | None) -> list[str]:
    if not counts or not too_many(counts):
        return []
    return [f"the base answers {_otherwise(counts)} than before training: it is another base, or has another tokenizer"]


def _of_apart(apart: Mapping[str, int] | None, counts: Mapping[str, int]) -> list[str]:
    """Where ties explain every other answer of the adapter, few recorded changes may have been ties themselves."""
    if not apart or apart["asked"] >= NOTHING * apart["recorded"] or not counts["unexplained"]:
        return []
    changes = f"the adapter changes {apart['asked'] or 'no'} answer{'s' * (apart['asked'] > 1)}"
    return [f"{changes}, but changed {apart['recorded']} when it was evaluated: it does nothing"]


def _of_adapter(counts: Mapping[str, int]) -> list[str]:
    return [f"the adapter answers {_otherwise(counts)} than recorded after training"] if too_many(counts) else []


def _of_accuracy(accuracy: Mapping[str, Any]) -> list[str]:
    """Rows that were all paid the same have an interval without a width, which one other answer leaves: p decides."""
    low, high = accuracy["interval"]
    by_chance = math.isclose(low, high) and accuracy["p_value"] >= statistics.SIGNIFICANCE
    if accuracy["asked"] is None or by_chance or low <= accuracy["asked"] <= high:
        return []
    return [f"{accuracy['measure']}: {accuracy['asked']:.3g}, outside the reported interval {low:.3g} to {high:.3g}"]


def _otherwise(counts: Mapping[str, int]) -> str:
    return f"{counts['unexplained']} of {sum(counts.values())} questions otherwise"
