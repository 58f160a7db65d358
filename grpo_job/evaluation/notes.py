"""The sentences for people about a verdict. Pure."""

from typing import Any

from grpo_job.evaluation.measure import RIGHT
from grpo_job.evaluation.statistics import (
    COLLAPSED,
    FEW_CHANGED,
    LEAST_PAIRS,
    SIGNIFICANCE,
    UNCHANGED,
    UNJUDGED,
)

SHOWN = 80  # characters of an answer
MANY_TRUNCATED = 0.1  # share of completions


def of(judged: dict[str, Any]) -> list[str]:
    """What `verdict.judge` found, the weightiest first."""
    return [note for tell in NOTES if (note := tell(judged))]


def _collapsed(judged: dict[str, Any]) -> str | None:
    if judged["verdict"] != COLLAPSED:
        return None
    common = (judged.get("answers") or judged["completions"])["commonest"]
    return (
        f"the answers have collapsed: {_short(common['answer'])!r} is {common['share']:.1%} of them "
        f"({common['before']:.1%} before training), and there is no evidence that they are better than answers "
        "given without reading the question"
    )


def _narrowed(judged: dict[str, Any]) -> str | None:
    answers = judged.get("answers", {})
    if judged["verdict"] == COLLAPSED or not answers.get("narrowed"):
        return None
    common = answers["commonest"]
    return f"warning: the answers have narrowed, {common['answer']!r} is {common['share']:.1%} of them"


def _ungraded(judged: dict[str, Any]) -> str | None:
    primary = judged["primary"]
    ungraded = primary["rows"] - primary["graded"]
    if not ungraded:
        return None
    return (
        f"warning: {ungraded} of {primary['rows']} rows could not be graded before or after training: such an "
        "answer counts 0 in the means, and the verdict leaves these rows out"
    )


def _too_few_rows(judged: dict[str, Any]) -> str | None:
    if judged["verdict"] != UNJUDGED:
        return None
    graded = judged["primary"]["graded"]
    few = f"{counted(graded, 'held-out row')} {'is' if graded == 1 else 'are'} too few"
    return f"{few} for a verdict: at least {LEAST_PAIRS} are needed"


def _only_the_format(judged: dict[str, Any]) -> str | None:
    if judged["verdict"] != UNCHANGED or _is_significant(judged["primary"]) or not _is_higher(judged["format"]):
        return None
    name = judged["measure"]["name"]
    more = "more answers are right" if name == RIGHT else f"the {name} is higher"
    return f"the format was learned; no evidence that {more}"


def _not_above_chance(judged: dict[str, Any]) -> str | None:
    answers = judged.get("answers")
    if not answers or judged["verdict"] != UNCHANGED or not _is_significant(judged["primary"]):
        return None
    if answers["chance"]["gain_interval"][0] > 0:
        return "more answers are right, but not enough to rule out answers given without reading the question"
    return "more answers are right, but no evidence that more are than such answers earn by chance"


def _unread(judged: dict[str, Any]) -> str | None:
    texts = judged.get("completions", {})
    if not texts.get("unread") or not _is_higher(judged["primary"]) or judged["verdict"] == COLLAPSED:
        return None
    common = texts["commonest"]
    return (
        f"the {judged['measure']['name']} is higher, but nothing shows that the completions depend on their "
        "question: swapped between questions, they are not reliably paid less (the commonest, "
        f"{_short(common['answer'])!r}, is {common['share']:.1%} of them)"
    )


def _truncated(judged: dict[str, Any]) -> str | None:
    shares = judged.get("truncated")
    if not shares or max(shares.values()) < MANY_TRUNCATED:
        return None
    said = f"{shares['before']:.0%} of the completions were truncated before training, {shares['after']:.0%} after"
    right = judged["right_truncated"]
    if judged["measure"]["name"] != RIGHT or not any(right.values()):
        return said
    return f"{said}; {right['before']} and {right['after']} of these count as right"


def _constant(judged: dict[str, Any]) -> str | None:
    if not (answers := judged.get("answers")):
        return None
    return f"Always answering {answers['constant']['answer']} earns {answers['constant']['share']:.1%}"


def _smallest_visible_change(judged: dict[str, Any]) -> str | None:
    if judged["verdict"] == UNJUDGED or "smallest_visible_change" not in judged:
        return None
    points = 100 * judged["smallest_visible_change"]
    return f"{judged['primary']['rows']} rows can show a change of about {points:.1f} points or more"


def _few_changed(judged: dict[str, Any]) -> str | None:
    primary = judged["primary"]
    changed = primary["gained"] + primary["lost"]
    if judged["verdict"] == UNJUDGED or judged["measure"]["share"] or changed >= FEW_CHANGED:
        return None
    return (
        f"warning: {changed} of {primary['rows']} rows changed their value; with fewer than {FEW_CHANGED} the "
        "intervals are too narrow: go by the p-value"
    )


NOTES = (
    _collapsed, _narrowed, _ungraded, _too_few_rows, _only_the_format, _not_above_chance, _unread, _truncated,
    _constant, _smallest_visible_change, _few_changed,
)  # fmt: skip


def _is_significant(found: dict[str, Any]) -> bool:
    return bool(found["p_value"] < SIGNIFICANCE)


def _is_higher(found: dict[str, Any]) -> bool:
    return _is_significant(found) and bool(found["difference"] > 0)


def counted(number: int, noun: str) -> str:
    """The number with its noun.

    >>> counted(1, "held-out row"), counted(20, "row")
    ('1 held-out row', '20 rows')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _short(answer: str) -> str:
    return answer if len(answer) <= SHOWN else f"{answer[:SHOWN]}…"
