"""Asking, grading and judging: from prompts to `evaluation.json`."""

import json
from typing import Any

import pytest

from grpo_job.evaluation import grading
from grpo_job.evaluation.verdict import allowed, judge, kept_back

GRADERS = grading.Graders(
    answer=lambda completion, gold: completion == f"<answer>{gold}</answer>",
    lenient=lambda completion, gold: gold in completion,
    format=lambda completion, gold: completion.startswith("<answer>"),
)
ROWS = [
    {"prompt": [{"role": "user", "content": f"{n} + 1?"}], "question": f"{n} + 1?", "answer": str(n + 1)}
    for n in range(20)
]


def answering(right: int) -> Any:
    """A model that always knows the answer, but gives only the first `right` ones in the asked form."""

    def generate(prompts: list[Any], *, samples: int = 1, temperature: float = 0.0) -> list[list[str]]:
        texts = [f"<answer>{n + 1}</answer>" if n < right else f"it is {n + 1}" for n in range(len(prompts))]
        return [[text] * (samples - 1) + ["no idea" if temperature else text] for text in texts]

    return generate


def test_asking_is_one_greedy_call_for_all_rows() -> None:
    calls: list[dict[str, Any]] = []

    def generate(prompts: list[Any], **options: Any) -> list[list[str]]:
        calls.append({"prompts": len(prompts), **options})
        return [["<answer>1</answer>"] for _ in prompts]

    records = grading.ask(generate, ROWS, GRADERS)
    assert calls == [{"prompts": 20}]
    assert records[0] == {
        "question": "0 + 1?", "gold": "1", "completion": "<answer>1</answer>",
        "correct": True, "correct_lenient": True, "format": True,
    }  # fmt: skip


def test_records_say_what_each_reward_pays() -> None:
    rewards = {"length": lambda completion, gold: float(len(completion)), "none": lambda completion, gold: None}
    records = grading.ask(answering(1), ROWS[:1], GRADERS, rewards=rewards)
    assert records[0]["rewards"] == {"length": 18.0, "none": None}


def test_samples_are_drawn_in_a_second_call_and_graded() -> None:
    records = grading.ask(answering(20), ROWS, GRADERS, samples=4)
    assert [sample["correct"] for sample in records[3]["samples"]] == [True, True, True, False]
    assert records[3]["correct"] is True


def test_share_of_no_records_is_unknown() -> None:
    assert grading.share([], "correct") is None


def test_judgement_holds_answer_lenient_and_format_and_the_rows_that_changed() -> None:
    before, after = (grading.ask(answering(right), ROWS, GRADERS, samples=2) for right in (5, 18))
    judged = judge(before, after)
    assert judged["verdict"] == judged["correct"]["verdict"] == "improved"
    assert (judged["correct"]["before"], judged["correct"]["after"]) == (0.25, 0.9)
    assert judged["correct_lenient"]["verdict"] == "no evidence of a change"
    assert judged["correct_lenient"]["before"] == judged["correct_lenient"]["after"] == 1.0
    assert [row["question"] for row in judged["gained"]] == [f"{n} + 1?" for n in range(5, 18)]
    assert judged["gained"][0]["after"] == "<answer>6</answer>"
    assert judged["lost"] == []
    assert judged["sampled"]["after"] == {"k": 2, "avg": 0.45, "pass": {"1": 0.45, "2": 0.9}}
    assert json.loads(json.dumps(judged))["correct"]["rows"] == 20


def test_judgement_lists_what_became_wrong() -> None:
    judged = judge(grading.ask(answering(18), ROWS, GRADERS), grading.ask(answering(2), ROWS, GRADERS))
    assert judged["verdict"] == "worse"
    assert len(judged["lost"]) == 16
    assert "sampled" not in judged


def test_sides_that_were_asked_different_questions_are_not_compared() -> None:
    records = grading.ask(answering(5), ROWS, GRADERS)
    with pytest.raises(ValueError, match="same questions"):
        judge(records, records[::-1])


@pytest.mark.parametrize(
    ("publish_if", "published"),
    [("always", {"improved", "no evidence of a change", "worse"}),
     ("not-worse", {"improved", "no evidence of a change"}), ("improved", {"improved"})],
)  # fmt: skip
def test_publish_gate_lets_through_what_was_asked_for(publish_if: Any, published: set[str]) -> None:
    verdicts = ("improved", "no evidence of a change", "worse")
    assert {verdict for verdict in verdicts if allowed(verdict, publish_if)} == published


def test_result_that_is_kept_back_says_why_in_one_sentence() -> None:
    judged = judge(grading.ask(answering(18), ROWS, GRADERS), grading.ask(answering(2), ROWS, GRADERS))
    sentence = kept_back(judged, "not-worse")
    assert sentence.startswith("not published because of GRPO_PUBLISH_IF=not-worse: the verdict is 'worse'")
    assert "90.0% before, 10.0% after on 20 rows, 0 gained, 16 lost, p = 3.1e-05" in sentence
