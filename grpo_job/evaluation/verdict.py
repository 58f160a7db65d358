"""Computes `evaluation.json` from the records before and after, and whether the result may be published. Pure."""

from collections.abc import Sequence
from typing import Any, Literal

from grpo_job.evaluation import statistics
from grpo_job.evaluation.statistics import IMPROVED, WORSE

JUDGED = ("correct", "correct_lenient", "format")
PublishIf = Literal["always", "not-worse", "improved"]


def judge(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare the records of `grading.ask`, row by row.

    `correct`, `correct_lenient` and `format` (see `grading.Graders`) each hold `statistics.compare`; `verdict` is that
    of `correct`. `gained` and `lost` list the changed rows; `sampled` needs samples on both sides. Raises ValueError
    if the questions differ.
    """
    if [(row["question"], row["gold"]) for row in before] != [(row["question"], row["gold"]) for row in after]:
        raise ValueError("before and after were not asked the same questions in the same order")
    compared = {
        key: statistics.compare([bool(row[key]) for row in before], [bool(row[key]) for row in after]) for key in JUDGED
    }
    return {
        "verdict": compared["correct"]["verdict"],
        **compared,
        **_sampled(before, after),
        "gained": _changed(before, after, to=True),
        "lost": _changed(before, after, to=False),
    }


def allowed(verdict: str, publish_if: PublishIf) -> bool:
    """Whether a result with this verdict is published under `GRPO_PUBLISH_IF`.

    >>> allowed("no evidence of a change", "not-worse"), allowed("no evidence of a change", "improved")
    (True, False)
    """
    match publish_if:
        case "always":
            return True
        case "not-worse":
            return verdict != WORSE
        case "improved":
            return verdict == IMPROVED


def kept_back(judged: dict[str, Any], publish_if: PublishIf) -> str:
    """The message for a result that is not `allowed`."""
    found = judged["correct"]
    return (
        f"not published because of GRPO_PUBLISH_IF={publish_if}: the verdict is {found['verdict']!r} (held-out "
        f"accuracy {found['before']:.1%} before, {found['after']:.1%} after on {found['rows']} rows, "
        f"{found['gained']} gained, {found['lost']} lost, p = {found['p_value']:.2g}); "
        "the adapter is kept in the run folder"
    )


def _sampled(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not all("samples" in row for row in [*before, *after]):
        return {}
    graded = {
        when: [[bool(sample["correct"]) for sample in row["samples"]] for row in records]
        for when, records in (("before", before), ("after", after))
    }
    return {"sampled": {when: statistics.sampled(rows) for when, rows in graded.items()}}


def _changed(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], *, to: bool) -> list[dict[str, Any]]:
    """The rows whose answer became correct (`to=True`) or wrong, with both completions."""
    return [
        {"question": old["question"], "gold": old["gold"], "before": old["completion"], "after": new["completion"]}
        for old, new in zip(before, after, strict=True)
        if bool(new["correct"]) is to and bool(old["correct"]) is not to
    ]
