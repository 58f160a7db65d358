"""Verdicts about own rewards: answers that ignore their question, and rewards that have nothing to do with golds."""

from typing import Any

import pytest

from grpo_job.evaluation.measure import WEIGHTED, Measure
from grpo_job.evaluation.verdict import judge

OWN = Measure("reward own", (("own", 1.0),))
VERBOSE = [f"question {number} is hard" for number in range(120)]


def paid_by_own(golds: list[str], texts: list[str], reward: Any) -> list[dict[str, Any]]:
    """Records of the texts as an own reward pays them."""
    return [
        {
            "question": str(number), "gold": gold, "completion": text, "answer": text, "correct": text == gold,
            "correct_lenient": text == gold, "format": False, "rewards": {"own": reward(text, gold)},
        }
        for number, (gold, text) in enumerate(zip(golds, texts, strict=True))
    ]  # fmt: skip


def is_short(text: str, _: str) -> float:
    return float(len(text) < 12)


def shortness(text: str, _: str) -> float:
    return 10 / (10 + len(text))


@pytest.mark.parametrize("text", ["yes", "ok", ""])
@pytest.mark.parametrize("reward", [is_short, shortness])
@pytest.mark.parametrize("golds", [["yes", "no"] * 60, [""] * 120])
def test_one_completion_for_every_question_is_collapsed_whatever_is_measured(
    golds: list[str], reward: Any, text: str
) -> None:
    judged = judge(paid_by_own(golds, VERBOSE, reward), paid_by_own(golds, [text] * 120, reward), OWN)
    assert judged["primary"]["p_value"] < 0.001
    assert judged["verdict"] == "collapsed"
    assert f"{text!r} is 100.0% of them (0.0% before training)" in judged["notes"][0]


def test_a_base_that_gave_one_answer_already_is_told_and_no_shorter_one_is_an_improvement() -> None:
    before, after = (paid_by_own([""] * 120, [text] * 120, shortness) for text in ("I cannot say", "ok"))
    assert judge(before, after, OWN)["verdict"] == "collapsed"
    judged = judge(after, after, OWN)
    assert judged["verdict"] == "collapsed"
    assert "'ok' is 100.0% of them (100.0% before training)" in judged["notes"][0]


@pytest.mark.parametrize(("right", "wrong"), [(1.0, 0.0), (2.0, 0.0), (1.0, -1.0)])
def test_answers_at_random_that_an_own_reward_finds_right_are_no_evidence(right: float, wrong: float) -> None:
    def is_gold(text: str, gold: str) -> float:
        return right if text == gold else wrong

    golds, after = ["yes", "no"] * 60, ["yes", "yes", "no", "no"] * 30
    judged = judge(paid_by_own(golds, VERBOSE, is_gold), paid_by_own(golds, after, is_gold), OWN)
    assert judged["primary"]["p_value"] < 0.001
    assert judged["verdict"] == "no evidence of a change"
    assert judge(paid_by_own(golds, after, is_gold), paid_by_own(golds, golds, is_gold), OWN)["verdict"] == "improved"


@pytest.mark.parametrize("reward", [is_short, shortness])
@pytest.mark.parametrize("golds", [["yes"] * 100 + ["no"] * 20, ["yes"] * 120, [""] * 120])
def test_a_reward_that_has_nothing_to_do_with_golds_is_improved_by_different_completions(
    golds: list[str], reward: Any
) -> None:
    names = ["".join("abcdefghij"[int(digit)] for digit in str(number)) for number in range(120)]
    after = [f"hm {name}" if number % 5 == 0 else f"{name} is not for me" for number, name in enumerate(names)]
    assert judge(paid_by_own(golds, VERBOSE, reward), paid_by_own(golds, after, reward), OWN)["verdict"] == "improved"


@pytest.mark.parametrize("scale", [1, -1, 1e5])
@pytest.mark.parametrize("weights", [(0.1, 0.2, 0.3), (0.1, 0.2, 0.3, 0.3)])
def test_sums_that_differ_by_the_rounding_of_floats_are_no_change(weights: tuple[float, ...], scale: float) -> None:
    measure = Measure(WEIGHTED, tuple((f"part {n}", scale * weight) for n, weight in enumerate(weights)))
    penalty = -1.0 if len(weights) > 3 else 0.0
    sides = [paid_by_own([""] * 120, VERBOSE, shortness), paid_by_own([""] * 120, VERBOSE, shortness)]
    for side, paid in zip(sides, ((1.0, 1.0, 0.0, penalty), (0.0, 0.0, 1.0, penalty)), strict=True):
        for record in side:
            record["rewards"] = {f"part {n}": score for n, score in enumerate(paid)}
    judged = judge(*sides, measure)
    assert judged["verdict"] == "no evidence of a change"
    assert (judged["gained"], judged["lost"], judged["primary"]["p_value"]) == ([], [], 1.0)


def test_one_completion_is_no_collapse_where_the_golds_ask_for_it_or_few_questions_differ() -> None:
    texts, rare = ["no"] * 120, ["no"] * 115 + ["yes"] * 5
    assert (
        judge(paid_by_own(rare, VERBOSE, shortness), paid_by_own(rare, texts, shortness), OWN)["verdict"] == "improved"
    )
    old, new = (paid_by_own([""] * 120, side, shortness) for side in (VERBOSE, texts))
    for record in old + new:
        record["question"] = str(int(record["question"]) % 40)
    assert judge(old, new, OWN)["verdict"] == "improved"


def test_a_long_completion_is_told_by_its_beginning() -> None:
    texts = ["all the same " * 50] * 120
    notes = judge(paid_by_own([""] * 120, VERBOSE, shortness), paid_by_own([""] * 120, texts, shortness), OWN)["notes"]
    assert "all the same al…' is 100.0% of them" in notes[0]
