"""Answers of a run that no longer depend on the question: what is logged of them, and what ends the run."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from grpo_job.monitoring.health import Finding, Health
from grpo_job.monitoring.health.alike import KIND, last_step_before
from grpo_job.monitoring.health.answers import ALIKE, KNOWN, AnswersOfLastSteps, by_step
from grpo_job.rewards.answers import last_answer
from grpo_job.settings.schema import Settings

ROWS = [{"prompt": [{"role": "user", "content": f"question {n}"}], "answer": str(n % 40)} for n in range(400)]
Answer = Callable[[str, int, random.Random], str]  # of gold, step and dice


def completions(step: int, answer: Answer, prompts: int = 8, samples: int = 8) -> list[dict[str, Any]]:
    dice = random.Random(step)
    rows = [ROWS[(step * prompts + place) % len(ROWS)] for place in range(prompts)]
    return [
        {"prompt": row["prompt"], "completion": f"The answer is {answer(row['answer'], step, dice)}.", "rewards": {}}
        for row in rows
        for _ in range(samples)
    ]


def logged(answer: Answer, steps: int = 60, prompts: int = 8) -> list[dict[str, Any]]:
    window, rows = AnswersOfLastSteps(ROWS, last_answer), []
    for step in range(1, steps + 1):
        window.add(step, completions(step, answer, prompts))
        rows.append({"step": step, "reward": min(1.0, step / 20), "frac_reward_zero_std": 0.5, **window.metrics()})
    return rows


def found_in(rows: list[dict[str, Any]], prompts: int = 8) -> list[Finding]:
    health = Health(Settings(per_device_train_batch_size=8 * prompts, num_generations=8, warmup_steps=0))
    return [one for row in rows for one in health.update(row) if one.kind == KIND]


def collapsing(gold: str, step: int, dice: random.Random) -> str:
    return "8" if dice.random() < (step - 10) / 10 else str(dice.randrange(40))


def learning(gold: str, step: int, dice: random.Random) -> str:
    return gold if dice.random() < step / 40 else str(dice.randrange(40))


def constant(gold: str, step: int, dice: random.Random) -> str:
    return "8"


def test_a_run_whose_answers_become_one_is_hopeless() -> None:
    rows = logged(collapsing)
    (finding,) = found_in(rows)
    assert finding.severity == "hopeless"
    assert 18 <= finding.step <= 30
    assert "alike whatever is asked" in finding.sentence
    assert "GRPO_LEARNING_RATE" in finding.sentence
    assert 10 <= last_step_before(rows) < finding.step


def test_a_run_that_learns_is_left_alone() -> None:
    rows = logged(learning)
    assert found_in(rows) == []
    assert rows[-1][ALIKE] < 0.1
    assert rows[-1][KNOWN] > 0.8


def test_a_run_of_one_prompt_a_step_is_judged_over_as_many_prompts() -> None:
    rows = logged(constant, steps=79, prompts=1)
    assert found_in(rows, prompts=1) == []
    assert [one.step for one in found_in(logged(constant, steps=90, prompts=1), prompts=1)] != []


def test_a_base_that_gives_one_answer_has_its_chance_to_learn() -> None:
    rows = [{**row, "reward": 0.5} for row in logged(constant, steps=60)]
    found = found_in(rows)
    assert [one.severity for one in found] == ["warn", "hopeless"]
    assert found[0].step >= 10
    assert found[1].step >= 30


def test_ten_steps_of_few_prompts_are_not_enough() -> None:
    assert found_in(logged(constant, steps=19, prompts=4), prompts=4) == []


def test_answers_that_a_reward_found_right_are_the_gold() -> None:
    window = AnswersOfLastSteps(ROWS, last_answer)
    for step in range(1, 12):
        rows = completions(step, constant)
        window.add(step, [{**row, "rewards": {"correct": 1.0}} for row in rows])
    assert window.metrics()[KNOWN] > 0.9


def test_one_answer_is_one_however_it_is_spelled() -> None:
    window = AnswersOfLastSteps(ROWS, last_answer)
    for step in range(1, 12):
        rows = completions(step, lambda gold, step, dice: "eight")
        golds = {row["prompt"][0]["content"]: row["answer"] for row in ROWS}
        window.add(
            step, [{**row, "rewards": {"correct": float(golds[row["prompt"][0]["content"]] == "8")}} for row in rows]
        )
    assert window.metrics()[ALIKE] == pytest.approx(1.0)
    assert window.metrics()[KNOWN] <= 0


def test_a_window_from_the_lines_of_earlier_attempts_is_the_same() -> None:
    one, other = AnswersOfLastSteps(ROWS, last_answer), AnswersOfLastSteps(ROWS, last_answer)
    lines: list[dict[str, Any]] = []
    for step in range(1, 31):
        rows = completions(step, collapsing)
        one.add(step, rows)
        lines += [{"step": step, **row} for row in rows]
    for step, found in by_step(lines):
        other.add(step, found)
    assert one.metrics() == other.metrics() != {}


@pytest.mark.parametrize("answer", [constant, collapsing, learning])
def test_golds_that_are_all_alike_say_nothing(answer: Answer) -> None:
    window = AnswersOfLastSteps([{**row, "answer": "8"} for row in ROWS], last_answer)
    for step in range(1, 20):
        window.add(step, completions(step, answer))
    assert window.metrics() == {}
