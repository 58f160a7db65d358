"""Computes `evaluation.json`, with its verdict, from the records before and after. Pure."""

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from grpo_job.evaluation import chance, dependence, notes, statistics
from grpo_job.evaluation.grading import golds_of
from grpo_job.evaluation.grading import share as share_of
from grpo_job.evaluation.measure import Measure
from grpo_job.evaluation.statistics import COLLAPSED, IMPROVED, UNCHANGED, UNJUDGED

AFTERWARDS = "chosen afterwards"
JUDGED = ("correct", "correct_lenient", "format")
Records = Sequence[dict[str, Any]]


class Answers(NamedTuple):
    """As `chance.effective` answers them, and the golds in one form: row by row."""

    before: list[str]
    after: list[str]
    golds: list[str]


class Reading(NamedTuple):
    """What the answers tell of their questions, for `decide`: `answers` where the measure pays right ones."""

    answers: Answers | None
    unread: bool = False
    few: bool = False
    constant: bool = False


def judge(before: Records, after: Records, measure: Measure, *, warm: Records = ()) -> dict[str, Any]:
    """Compare the records of `grading.ask`, row by row. At least one row.

    `verdict` and `primary` (`statistics.compare`) are those of `measure`. `correct` (the answer in the asked-for
    place), `correct_lenient` (the last answer anywhere) and `format` have figures beside it and no verdict; the first
    two only where rows have right answers.
    `answers` holds what `_of_answers` finds where the measure pays right answers; else `completions` has the commonest,
    and whether they are `dependence.unread`. `truncated`: the share of each side's completions that were, and
    `right_truncated` how many of those are right.
    `notes` are sentences for people, the weightiest first. `gained` and `lost` list the rows whose value rose and fell.
    `sampled` is there when both sides were sampled. The records of `warm`, after a warm start, add `warm` and
    `warm_interval` beside `before` and `after`, and are no part of the verdict. Neither are rows that were not graded
    on both sides, which are no part of `primary`'s `p_value` either. Raises ValueError where before and after were not
    asked the same.
    """
    if asked(before) != asked(after):
        raise ValueError("before and after were not asked the same questions in the same order")
    values = [[measure.of(row) for row in side] for side in (before, after)]
    primary = statistics.compare(*values)
    tested, primary["p_value"] = _tested([pair for pair in zip(*values, strict=True) if None not in pair])
    share = all(value in (None, 0.0, 1.0) for side in values for value in side)
    golds = any(row["gold"].strip() for row in before)
    compared = {
        key: statistics.compare(*([float(row[key]) for row in side] for side in (before, after)))
        for key in (JUDGED if golds else ("format",))
    }
    if asked(warm) == asked(before):
        _add_warm(primary, values[0], [measure.of(row) for row in warm])
        for key in compared:
            _add_warm(compared[key], *([float(row[key]) for row in side] for side in (before, warm)))
    reading = read(before, after, measure)
    answers = reading.answers
    churn = (primary["gained"] + primary["lost"]) / primary["rows"]
    found = {
        "verdict": decide(tested, reading),
        "measure": {"name": measure.name, "share": share, "weights": measure.weights},
        "primary": primary,
        **compared,
        **({"answers": _of_answers(answers, before, after)} if answers else _of_completions(before, after, reading)),
        **_of_truncated(before, after),
        **({"smallest_visible_change": statistics.smallest_visible_change(churn, primary["rows"])} if share else {}),
        **(_sampled(before, after) if golds else {}),
        "gained": _changed(before, after, values, to=1),
        "lost": _changed(before, after, values, to=-1),
    }
    return {**found, "notes": notes.of(found)}


def _of_truncated(before: Records, after: Records) -> dict[str, Any]:
    """The shares, and how many of these have a right answer. Nothing for records of an earlier version."""
    sides = {"before": before, "after": after}
    if not all("truncated" in row for side in sides.values() for row in side):
        return {}
    return {
        "truncated": {when: share_of(side, "truncated") for when, side in sides.items()},
        "right_truncated": {
            when: sum(row["truncated"] and row["correct_lenient"] for row in side) for when, side in sides.items()
        },
    }


def _tested(graded: Sequence[tuple[float | None, ...]]) -> tuple[str, float]:
    """What the paired test says of the rows that were graded before and after, and its p: others were not measured."""
    if not graded:
        return UNJUDGED, 1.0
    found = statistics.compare(*zip(*graded, strict=True))
    return statistics.verdict(found["difference"], found["p_value"], found["rows"]), found["p_value"]


def chosen_afterwards(judged: dict[str, Any], first: str) -> dict[str, Any]:
    """`judge`'s answer about another measure than the run was judged by: it says so before all else.

    Of several measures one may look better by chance, so a verdict about this one proves less.
    """
    measure = {**judged["measure"], "instead_of": first}
    note = f"the measure {measure['name']} was {AFTERWARDS}: the run was judged by {first}"
    return {**judged, "measure": measure, "notes": [note, *judged["notes"]]}


def asked(records: Records) -> list[tuple[str, str, str | None]]:
    """The questions, right answers and, where they are recorded, prompts as the model saw them, in order."""
    return [(row["question"], row["gold"], row.get("prompt")) for row in records]


def _add_warm(judged: dict[str, Any], before: Sequence[float | None], warm: Sequence[float | None]) -> None:
    found = statistics.compare(before, warm)
    judged |= {"warm": found["after"], "warm_interval": found["after_interval"]}


def read(before: Records, after: Records, measure: Measure) -> Reading:
    """Of rows in the same order; what stands before decides only which gain is above chance."""
    paid = _paid([[measure.of(row) for row in side] for side in (before, after)], measure)
    golds = any(row["gold"].strip() for row in before)
    if measure.reads_answers or (golds and _pays_golds(after, paid[1])):
        return Reading(_answers(before, after, paid))
    unread = dependence.unread(after, measure, before)
    return Reading(
        None, unread, few=unread and dependence.few(after), constant=unread and dependence.constant(after, measure)
    )


def decide(primary: str, reading: Reading) -> str:
    """The verdict of a run whose paired test says `primary`.

    Improved only if the gain above chance is too; collapsed before all else. Where no answers are read, `few` texts
    of which nothing says that they depend on their question improve nothing; one (`constant`) is collapsed. Different
    texts of which nothing says so (`unread`) may improve the measure; `notes` tells it.
    """
    answers = reading.answers
    if reading.constant or (answers and chance.collapsed(answers.after, answers.golds)):
        return COLLAPSED
    if primary == IMPROVED and (reading.few or (answers and not chance.better(*answers))):
        return UNCHANGED
    return primary


def _paid(values: Sequence[Sequence[float | None]], measure: Measure) -> list[list[bool]]:
    """Which answers have the higher of two values, such as 2 and 0; none where a measure of its own has more values."""
    found = {value for side in values for value in side if value is not None}
    most = 1.0 if measure.reads_answers else max(found) if len(found) == 2 else None
    return [[value is not None and value == most for value in side] for side in values]


def _pays_golds(records: Records, is_paid: Sequence[bool]) -> bool:
    """Whether an own reward of two values pays right answers: of those that are paid or right, nearly all are both.

    Else chance is not defined: a reward for short answers may be earned without reading the question.
    """
    paid = {number for number, given in enumerate(is_paid) if given}
    right = [{number for number, row in enumerate(records) if row[key]} for key in ("correct", "correct_lenient")]
    return any(len(paid & each) >= chance.NEARLY_ALL * max(1, len(paid | each)) for each in right)


def _commonest(before: Sequence[str], after: Sequence[str]) -> dict[str, Any]:
    """The commonest answer after training, and its share after and before."""
    answer, given = chance.commonest(after)
    return {"answer": answer.strip(), "share": given / len(after), "before": before.count(answer) / len(before)}


def _of_completions(before: Records, after: Records, reading: Reading) -> dict[str, Any]:
    forms = map(dependence.forms, (before, after))
    return {"completions": {"commonest": _commonest(*forms), "unread": reading.unread}}


def _answers(before: Records, after: Records, right: Sequence[Sequence[bool]]) -> Answers:
    """Where no answer is read, the completion itself stands for it."""
    golds = chance.widest([golds_of(row) for row in after])
    old, new = (
        chance.effective([row.get("answer") or row["completion"] for row in side], golds, paid)
        for side, paid in zip((before, after), right, strict=True)
    )
    return Answers(old, new, golds)


def _of_answers(answers: Answers, before: Records, after: Records) -> dict[str, Any]:
    """What the answers alone tell: accuracy above chance, narrowing, and what one constant answer earns."""
    old, new, golds = answers
    constant, times = chance.commonest(golds)
    return {
        "chance": chance.gain_above_chance(old, new, golds),
        "narrowed": chance.narrowed(old, new, golds),
        "entropy": {"golds": chance.entropy(golds), "before": chance.entropy(old), "after": chance.entropy(new)},
        "commonest": _commonest(old, new),
        "constant": {"answer": constant, "share": times / len(golds)},
        "gold_in_text": {"before": _gold_in_text(before), "after": _gold_in_text(after)},
    }


def _gold_in_text(records: Records) -> float:
    """The share of completions in which a gold is anywhere as a word: no reading of answers can find more."""

    def found(gold: str, completion: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", completion, re.I) is not None

    return sum(any(found(gold, row["completion"]) for gold in golds_of(row)) for row in records) / len(records)


def _sampled(before: Records, after: Records) -> dict[str, Any]:
    if not all("samples" in row for row in [*before, *after]):
        return {}
    graded = {
        when: [[bool(sample["correct"]) for sample in row["samples"]] for row in records]
        for when, records in (("before", before), ("after", after))
    }
    return {"sampled": {when: statistics.sampled(rows) for when, rows in graded.items()}}


def _changed(
    before: Records, after: Records, values: Sequence[Sequence[float | None]], *, to: Literal[1, -1]
) -> list[dict[str, Any]]:
    """The rows whose value rose (`to=1`) or fell, with both completions."""
    return [
        {"question": old["question"], "gold": old["gold"], "before": old["completion"], "after": new["completion"]}
        for old, new, early, late in zip(before, after, *values, strict=True)
        if to * ((late or 0.0) - (early or 0.0)) > 0
    ]
