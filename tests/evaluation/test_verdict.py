"""Asking, grading and judging: from prompts to `evaluation.json`."""

import json
import re
from typing import Any

import pytest

from grpo_job.evaluation import grading, publish_if
from grpo_job.evaluation.completion import Completion
from grpo_job.evaluation.measure import RIGHT, Measure, choose
from grpo_job.evaluation.verdict import chosen_afterwards, judge
from tests.evaluation.test_completion import ended

GRADERS = grading.Graders(
    answer=lambda completion, gold: completion == f"<answer>{gold}</answer>",
    lenient=lambda completion, gold: gold in completion,
    format=lambda completion, gold: completion.startswith("<answer>"),
    read=lambda completion: re.sub(r"\D", "", completion) or None,
)
IN_TAGS = Measure("reward correct", (("correct", 1.0),))


def in_tags(texts: list[str], rows: list[dict[str, Any]]) -> list[float]:
    return [float(GRADERS.answer(text, row["answer"])) for text, row in zip(texts, rows, strict=True)]


PAID = {"correct": in_tags}
ROWS = [
    {"prompt": [{"role": "user", "content": f"{n} + 1?"}], "question": f"{n} + 1?", "answer": str(n + 1)}
    for n in range(60)
]


def answering(right: int) -> Any:
    """A model that always knows the answer, but gives only the first `right` ones in the asked form."""

    def generate(prompts: list[Any], *, samples: int = 1, temperature: float = 0.0) -> list[list[Completion]]:
        texts = [f"<answer>{n + 1}</answer>" if n < right else f"it is {n + 1}" for n in range(len(prompts))]
        return [[ended(text)] * (samples - 1) + [ended("no idea" if temperature else text)] for text in texts]

    return generate


def test_asking_is_one_greedy_call_for_all_rows() -> None:
    calls: list[dict[str, Any]] = []

    def generate(prompts: list[Any], **options: Any) -> list[list[Completion]]:
        calls.append({"prompts": len(prompts), **options})
        return [[ended("<answer>1</answer>")] for _ in prompts]

    records = grading.ask(generate, ROWS, GRADERS)
    assert calls == [{"prompts": 60}]
    assert records[0] == {
        "question": "0 + 1?", "gold": "1", "completion": "<answer>1</answer>", "tokens": 2, "truncated": False,
        "answer": "1", "correct": True, "correct_lenient": True, "format": True,
    }  # fmt: skip


def test_records_say_what_each_reward_pays() -> None:
    rewards = {"length": lambda texts, rows: [float(len(text)) for text in texts], "none": lambda texts, rows: [None]}
    records = grading.ask(answering(1), ROWS[:1], GRADERS, rewards=rewards)
    assert records[0]["rewards"] == {"length": 18.0, "none": None}


def test_samples_are_drawn_in_a_second_call_and_graded() -> None:
    records = grading.ask(answering(60), ROWS, GRADERS, samples=4)
    assert [sample["correct"] for sample in records[3]["samples"]] == [True, True, True, False]
    assert records[3]["correct"] is True


def test_share_of_no_records_is_unknown() -> None:
    assert grading.share([], "correct") is None


def asked(right: int, **options: Any) -> list[dict[str, Any]]:
    return grading.ask(answering(right), ROWS, GRADERS, rewards=PAID, **options)


def test_judgement_holds_answer_lenient_and_format_and_the_rows_that_changed() -> None:
    judged = judge(asked(15, samples=2), asked(54, samples=2), IN_TAGS)
    assert judged["verdict"] == "improved"
    assert judged["measure"] == {"name": "reward correct", "share": True, "weights": (("correct", 1.0),)}
    assert judged["primary"] == judged["correct"]
    assert (judged["correct"]["before"], judged["correct"]["after"]) == (0.25, 0.9)
    assert judged["correct_lenient"]["before"] == judged["correct_lenient"]["after"] == 1.0
    assert [row["question"] for row in judged["gained"]] == [f"{n} + 1?" for n in range(15, 54)]
    assert judged["gained"][0]["after"] == "<answer>16</answer>"
    assert judged["lost"] == []
    assert judged["sampled"]["after"] == {"k": 2, "avg": 0.5, "pass": {"1": 0.5, "2": 1.0}}
    assert json.loads(json.dumps(judged))["correct"]["rows"] == 60


def test_one_measure_has_the_verdict_and_what_stands_beside_it_has_none() -> None:
    judged = judge(asked(15), asked(54), Measure(RIGHT))
    assert judged["verdict"] == "no evidence of a change"
    assert not any("verdict" in judged[key] for key in ("primary", "correct", "correct_lenient", "format"))


def test_a_base_that_is_right_without_tags_and_learns_the_tags_has_learned_the_format() -> None:
    judged = judge(asked(0), asked(60), choose("auto", [("correct", 2.0)], golds=True))
    assert judged["verdict"] == "no evidence of a change"
    assert (judged["primary"]["before"], judged["primary"]["after"]) == (1.0, 1.0)
    assert judged["notes"][0] == "the format was learned; no evidence that more answers are right"


def test_judgement_lists_what_became_wrong() -> None:
    judged = judge(asked(54), asked(6), IN_TAGS)
    assert judged["verdict"] == "worse"
    assert len(judged["lost"]) == 48
    assert "sampled" not in judged


def answered(golds: list[str], answers: list[str]) -> list[dict[str, Any]]:
    """Records of the answers, in the format."""
    return [
        {
            "question": str(number), "gold": gold, "completion": f"<answer>{answer}</answer>", "answer": answer,
            "correct": answer == gold, "correct_lenient": answer == gold, "format": True,
        }
        for number, (gold, answer) in enumerate(zip(golds, answers, strict=True))
    ]  # fmt: skip


def test_a_constant_answer_that_is_right_more_often_is_collapsed_and_not_published() -> None:
    golds = ["5"] * 40 + [str(number + 100) for number in range(1279)]
    base = [gold if number % 70 == 69 else f"no {number}" for number, gold in enumerate(golds)]
    judged = judge(answered(golds, base), answered(golds, ["5"] * len(golds)), Measure(RIGHT))
    assert judged["primary"]["p_value"] < 0.05
    assert judged["primary"]["difference"] > 0
    assert judged["verdict"] == "collapsed"
    assert "'5' is 100.0% of them" in judged["notes"][0]
    assert "Always answering 5 earns 3.0%" in judged["notes"]
    assert not publish_if.allowed(judged["verdict"], "always")


@pytest.mark.parametrize("spelling", ["5", "five", "5 dollars", "5.0 km"])
def test_a_constant_answer_is_one_answer_however_it_is_spelled(spelling: str) -> None:
    golds = ["5"] * 60 + [str(number + 100) for number in range(240)]
    base = answered(golds, [f"no {number}" for number in range(300)])
    after = answered(golds, [spelling] * 300)
    for record in after:
        record["correct"] = record["correct_lenient"] = record["gold"] == "5"
    judged = judge(base, after, Measure(RIGHT))
    assert judged["primary"]["p_value"] < 0.001
    assert judged["verdict"] == "collapsed"
    assert "'5' is 100.0% of them" in judged["notes"][0]


@pytest.mark.parametrize(("paid", "verdict"), [([], "no evidence of a change"), (range(300), "worse")])
def test_right_answers_that_the_measure_does_not_pay_are_no_collapse(paid: Any, verdict: str) -> None:
    """Such as outside of the tags, with GRPO_MEASURE=correct."""
    golds = [str(number) for number in range(300)]
    base, after = answered(golds, golds), answered(golds, golds)
    for number, (old, new) in enumerate(zip(base, after, strict=True)):
        old["rewards"], new["rewards"] = {"correct": float(number in paid)}, {"correct": 0.0}
    judged = judge(base, after, IN_TAGS)
    assert judged["verdict"] == verdict
    assert not judged["answers"]["narrowed"]


def test_one_answer_to_every_question_is_collapsed_also_where_it_is_never_paid() -> None:
    golds = ["yes"] * 180 + ["no"] * 120
    base, after = answered(golds, golds), answered(golds, ["yes"] * 300)
    for old, new in zip(base, after, strict=True):
        old["rewards"], new["rewards"] = {"correct": 1.0}, {"correct": 0.0}
    judged = judge(base, after, IN_TAGS)
    assert judged["verdict"] == "collapsed"
    assert "'yes' is 100.0% of them" in judged["notes"][0]


def test_an_answer_that_several_rows_share_beside_others_is_what_always_answering_earns() -> None:
    rows = [{**row, "answers": [row["answer"], "seven", "7"] if n < 90 else ["x"]} for n, row in enumerate(ROWS * 2)]
    base, after = (
        [grading.grade(row, ended(f"<answer>{text}</answer>"), GRADERS) for row in rows] for text in ("nothing", "7")
    )
    judged = judge(base, after, Measure(RIGHT))
    assert judged["primary"]["after"] == 0.75
    assert judged["verdict"] == "collapsed"
    assert "Always answering seven earns 75.0%" in judged["notes"]
    assert judged["answers"]["gold_in_text"]["after"] == 0.75


def test_more_right_answers_that_chance_explains_are_no_evidence() -> None:
    """Two answers in the golds' own proportions: right more often than a base that said neither."""
    golds = ["yes", "no"] * 100
    after = ["yes", "yes", "no", "no"] * 50
    judged = judge(answered(golds, ["?"] * 200), answered(golds, after), Measure(RIGHT))
    assert judged["primary"]["p_value"] < 0.001
    assert judged["verdict"] == "no evidence of a change"
    assert any("by chance" in note for note in judged["notes"])


def test_more_right_answers_above_chance_that_do_not_show_knowledge_are_told_as_that() -> None:
    golds = ["yes", "no"] * 50
    after = [gold if number < 62 else {"yes": "no", "no": "yes"}[gold] for number, gold in enumerate(golds)]
    judged = judge(answered(golds, ["?"] * 100), answered(golds, after), Measure(RIGHT))
    assert judged["verdict"] == "no evidence of a change"
    assert judged["answers"]["chance"]["gain_interval"][0] > 0
    assert judged["notes"][0] == (
        "more answers are right, but not enough to rule out answers given without reading the question"
    )


def test_an_own_reward_is_measured_by_itself_with_its_grades_and_what_it_could_not_grade() -> None:
    def paid(value: float | None) -> list[dict[str, Any]]:
        records = answered(["1"] * 60, ["2"] * 60)
        return [{**record, "rewards": {"brief": value if n else None}} for n, record in enumerate(records)]

    judged = judge(paid(0.25), paid(0.75), choose("auto", [("brief", 1.0)], golds=True))
    assert judged["verdict"] == "improved"
    assert judged["measure"] == {"name": "reward brief", "share": False, "weights": (("brief", 1.0),)}
    assert judged["primary"]["ungraded"] == {"before": 1, "after": 1}
    assert "answers" not in judged


@pytest.mark.parametrize(
    ("before", "after", "lacking", "verdict"),
    [([None] * 60, [0.8] * 60, 60, "not judged"), ([0.8] * 60, [None] * 60, 60, "not judged"),
     ([0.2] * 60, [0.2] * 50 + [None] * 10, 10, "no evidence of a change"),
     ([0.2] * 70, [0.8] * 60 + [None] * 10, 10, "improved"),
     ([0.2] * 130, [0.2] * 60 + [None] * 70, 70, "no evidence of a change")],
)  # fmt: skip
def test_what_was_not_graded_decides_no_verdict_and_is_told(
    before: list[Any], after: list[Any], lacking: int, verdict: str
) -> None:
    golds = [str(number) for number in range(len(before))]
    sides = [
        [{**record, "rewards": {"judge": paid}} for record, paid in zip(answered(golds, golds), side, strict=True)]
        for side in (before, after)
    ]
    judged = judge(*sides, Measure("reward judge", (("judge", 1.0),)))
    assert judged["verdict"] == verdict
    assert judged["notes"][0].startswith(f"warning: {lacking} of {len(before)} rows could not be graded")
    assert (judged["primary"]["p_value"] < 0.05) == (verdict == "improved")


@pytest.mark.parametrize(("changed", "told"), [(0, True), (19, True), (20, False)])
def test_means_whose_change_rests_on_few_rows_are_told_to_have_intervals_that_are_too_narrow(
    changed: int, told: bool
) -> None:
    golds = [str(number) for number in range(100)]
    before, after = (
        [{**row, "rewards": {"brief": paid if n < changed else 0.25}} for n, row in enumerate(answered(golds, golds))]
        for paid in (0.25, 0.5)
    )
    notes = " ".join(judge(before, after, Measure("reward brief", (("brief", 1.0),)))["notes"])
    assert (f"{changed} of 100 rows changed their value" in notes) == told


def test_rows_without_right_answers_have_no_share_of_them() -> None:
    rows = [{**row, "answer": ""} for row in ROWS]
    sides = [grading.ask(answering(n), rows, GRADERS, rewards=PAID, samples=2) for n in (15, 54)]
    judged = judge(sides[0], sides[1], Measure("reward correct", (("correct", 1.0),)))
    assert judged["format"]["after"] == 0.9
    assert not {"correct", "correct_lenient", "sampled"} & judged.keys()


def test_sides_that_were_asked_different_questions_are_not_compared() -> None:
    records = asked(5)
    with pytest.raises(ValueError, match="same questions"):
        judge(records, records[::-1], IN_TAGS)


def test_rows_that_were_not_graded_hide_no_reason() -> None:
    golds = ["yes", "no"] * 100
    sides = [answered(golds, answers) for answers in (["?"] * 200, ["yes", "yes", "no", "no"] * 50)]
    for record in sides[0] + sides[1]:
        record["rewards"] = {"own": float(record["correct"])}
    sides[1][3]["rewards"]["own"] = None
    notes = judge(*sides, Measure("reward own", (("own", 1.0),)))["notes"]
    assert notes[0].startswith("warning: 1 of 200 rows could not be graded")
    assert notes[1].startswith("more answers are right, but no evidence that more are than")


def test_another_measure_than_the_runs_own_says_that_it_was_chosen_afterwards() -> None:
    before, after = (grading.ask(answering(right), ROWS, GRADERS, rewards=PAID) for right in (0, 60))
    judged = chosen_afterwards(judge(before, after, IN_TAGS), RIGHT)
    assert judged["verdict"] == "improved"
    assert judged["notes"][0] == (
        "the measure reward correct was chosen afterwards: the run was judged by right answers, read anywhere"
    )
    assert judged["measure"]["instead_of"] == RIGHT


def test_narrowed_answers_and_too_few_rows_are_told_before_the_format() -> None:
    golds = [str(number) for number in range(100)]
    before, after = answered(golds, golds), answered(golds, ["8" if n % 2 else str(n) for n in range(100)])
    assert judge(before, after, Measure(RIGHT))["notes"][0].startswith("warning: the answers have narrowed, '8' is ")
    few = judge(before[:20], before[:20], Measure(RIGHT))
    assert few["verdict"] == "not judged"
    assert few["notes"][0] == "20 held-out rows are too few for a verdict: at least 50 are needed"
    assert not any("can show a change" in note for note in few["notes"])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (60, 30, ["100% of the completions were truncated before training, 50% after"]),
        (0, 6, ["0% of the completions were truncated before training, 10% after"]),
        (5, 0, []),
    ],
)
def test_many_truncated_completions_are_told_with_those_of_the_other_side(
    before: int, after: int, said: list[str]
) -> None:
    sides = [asked(30), asked(30)]
    for side, truncated in zip(sides, (before, after), strict=True):
        side[:truncated] = [{**record, "truncated": True} for record in side[:truncated]]
    judged = judge(*sides, IN_TAGS)
    assert [note for note in judged["notes"] if "truncated" in note] == said
    assert judged["truncated"] == {"before": before / 60, "after": after / 60}


def test_right_answers_in_truncated_completions_are_told_where_the_measure_reads_them() -> None:
    before, after = asked(30), asked(30)
    after[25:50] = [{**record, "truncated": True} for record in after[25:50]]
    after[40:50] = [{**record, "correct_lenient": False} for record in after[40:50]]
    judged = judge(before, after, Measure(RIGHT))
    told = "0% of the completions were truncated before training, 42% after; 0 and 15 of these count as right"
    assert told in judged["notes"]
    assert judged["right_truncated"] == {"before": 0, "after": 15}


def test_records_of_an_earlier_version_say_nothing_of_truncated_completions() -> None:
    known = [{name: value for name, value in record.items() if name != "truncated"} for record in asked(30)]
    assert "truncated" not in judge(known, asked(30), IN_TAGS)
