"""Which verdicts GRPO_PUBLISH_IF lets through, and the sentence for a result that it keeps back. Pure."""

from typing import Any, Literal

from grpo_job.evaluation import statistics
from grpo_job.evaluation.notes import counted
from grpo_job.evaluation.statistics import COLLAPSED, IMPROVED, WORSE

PublishIf = Literal["always", "not-worse", "improved", "collapsed"]


def allowed(verdict: str, publish_if: PublishIf) -> bool:
    """Whether a result of this verdict is published under `GRPO_PUBLISH_IF`. A collapsed one must be asked for.

    >>> allowed("no evidence of a change", "not-worse"), allowed("no evidence of a change", "improved")
    (True, False)
    >>> allowed("collapsed", "always"), allowed("collapsed", "collapsed")
    (False, True)
    """
    match publish_if:
        case "collapsed":
            return True
        case "always":
            return verdict != COLLAPSED
        case "not-worse":
            return verdict not in (WORSE, COLLAPSED)
        case "improved":
            return verdict == IMPROVED


def kept_back(judged: dict[str, Any], publish_if: PublishIf) -> str:
    """The sentence that says why a result which is not `allowed` stays unpublished.

    With the first note where the figures alone say another verdict.
    """
    found, measure = judged["primary"], judged["measure"]
    before, after = (f"{found[when]:.1%}" if measure["share"] else f"{found[when]:.3g}" for when in ("before", "after"))
    tested = statistics.verdict(found["difference"], found["p_value"], found["graded"])
    why = "" if tested == judged["verdict"] else f": {judged['notes'][0]}"
    return (
        f"not published because of GRPO_PUBLISH_IF={publish_if}: the verdict is {judged['verdict']!r} (held-out "
        f"{measure['name']}: {before} before, {after} after on {counted(found['rows'], 'row')}, "
        f"{found['gained']} gained, {found['lost']} lost, p = {found['p_value']:.2g}){why}; "
        "the adapter is kept in the run folder"
    )
