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
    answers, primary, kept = judged.get("answers", {}), judged["primary"], judged["format"]
    notes = []
    if judged["verdict"] == COLLAPSED:
        common = (answers or judged["completions"])["commonest"]
        notes.append(
            f"the answers have collapsed: {_short(common['answer'])!r} is {common['share']:.1%} of them "
            f"({common['before']:.1%} before training), and there is no evidence that they are better than answers "
            "given without reading the question"
        )
    elif answers.get("narrowed"):
        share = answers["commonest"]["share"]
        notes.append(f"warning: the answers have narrowed, {answers['commonest']['answer']!r} is {share:.1%} of them")
    ungraded = primary["rows"] - primary["graded"]
    if ungraded:
        notes.append(
            f"warning: {ungraded} of {primary['rows']} rows could not be graded before or after training: such an "
            "answer counts 0 in the means, and the verdict leaves these rows out"
        )
    if judged["verdict"] == UNJUDGED:
        few = f"{counted(primary['graded'], 'held-out row')} {'is' if primary['graded'] == 1 else 'are'} too few"
        notes.append(f"{few} for a verdict: at least {LEAST_PAIRS} are needed")
    format_learned = kept["difference"] > 0 and kept["p_value"] < SIGNIFICANCE
    if judged["verdict"] == UNCHANGED and primary["p_value"] >= SIGNIFICANCE and format_learned:
        more = (
            "more answers are right"
            if judged["measure"]["name"] == RIGHT
            else f"the {judged['measure']['name']} is higher"
        )
        notes.append(f"the format was learned; no evidence that {more}")
    if answers and judged["verdict"] == UNCHANGED and primary["p_value"] < SIGNIFICANCE:
        notes.append(
            "more answers are right, but not enough to rule out answers given without reading the question"
            if answers["chance"]["gain_interval"][0] > 0
            else "more answers are right, but no evidence that more are than such answers earn by chance"
        )
    texts = judged.get("completions", {})
    higher = primary["difference"] > 0 and primary["p_value"] < SIGNIFICANCE
    if texts.get("unread") and higher and judged["verdict"] != COLLAPSED:
        common = texts["commonest"]
        notes.append(
            f"the {judged['measure']['name']} is higher, but nothing shows that the completions depend on their "
            "question: swapped between questions, they are not reliably paid less (the commonest, "
            f"{_short(common['answer'])!r}, is {common['share']:.1%} of them)"
        )
    cut = judged.get("truncated", {"before": 0.0, "after": 0.0})
    if max(cut.values()) >= MANY_TRUNCATED:
        notes.append(f"{cut['before']:.0%} of the completions were truncated before training, {cut['after']:.0%} after")
    if answers:
        constant = answers["constant"]
        notes.append(f"Always answering {constant['answer']} earns {constant['share']:.1%}")
    if judged["verdict"] != UNJUDGED and "smallest_visible_change" in judged:
        seen = 100 * judged["smallest_visible_change"]
        notes.append(f"{primary['rows']} rows can show a change of about {seen:.1f} points or more")
    changed = primary["gained"] + primary["lost"]
    if judged["verdict"] != UNJUDGED and not judged["measure"]["share"] and changed < FEW_CHANGED:
        notes.append(
            f"warning: {changed} of {primary['rows']} rows changed their value; with fewer than {FEW_CHANGED} the "
            "intervals are too narrow: go by the p-value"
        )
    return notes


def counted(number: int, noun: str) -> str:
    """The number with its noun.

    >>> counted(1, "held-out row"), counted(20, "row")
    ('1 held-out row', '20 rows')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _short(answer: str) -> str:
    return answer if len(answer) <= SHOWN else f"{answer[:SHOWN]}…"
