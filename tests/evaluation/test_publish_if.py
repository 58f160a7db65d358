"""Which results are published, and what is said of those that are not."""

from typing import Any

import pytest

from grpo_job.evaluation.measure import RIGHT, Measure
from grpo_job.evaluation.publish_if import allowed, kept_back
from grpo_job.evaluation.verdict import judge
from tests.evaluation.test_verdict import IN_TAGS, answered, asked


@pytest.mark.parametrize(
    ("publish_if", "published"),
    [("collapsed", {"improved", "no evidence of a change", "not judged", "worse", "collapsed"}),
     ("always", {"improved", "no evidence of a change", "not judged", "worse"}),
     ("not-worse", {"improved", "no evidence of a change", "not judged"}), ("improved", {"improved"})],
)  # fmt: skip
def test_publish_gate_lets_through_what_was_asked_for(publish_if: Any, published: set[str]) -> None:
    verdicts = ("improved", "no evidence of a change", "not judged", "worse", "collapsed")
    assert {verdict for verdict in verdicts if allowed(verdict, publish_if)} == published


def test_result_that_is_kept_back_says_why_in_one_sentence() -> None:
    judged = judge(asked(54), asked(6), IN_TAGS)
    sentence = kept_back(judged, "not-worse")
    assert sentence.startswith("not published because of GRPO_PUBLISH_IF=not-worse: the verdict is 'worse'")
    assert "reward correct: 90.0% before, 10.0% after on 60 rows, 0 gained, 48 lost, p = 7.1e-15" in sentence


def test_result_that_is_kept_back_against_its_p_value_gives_the_reason() -> None:
    """Two answers at random: the format was learned, and no note denies that more answers are right."""
    golds = ["yes", "no"] * 100
    before = [{**record, "format": False} for record in answered(golds, ["?"] * 200)]
    judged = judge(before, answered(golds, ["yes", "yes", "no", "no"] * 50), Measure(RIGHT))
    why = "more answers are right, but no evidence that more are than such answers earn by chance"
    assert f"0 lost, p = 1.6e-30): {why}; the adapter is kept" in kept_back(judged, "improved")
    assert not any(note.startswith("the format was learned") for note in judged["notes"])
