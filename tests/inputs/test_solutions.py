"""What the warm start teaches: the rewards of the run pay for it, and it has the form that the prompt asks for."""

import doctest
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.inputs import solutions
from grpo_job.inputs.rows import row_of
from grpo_job.settings.reader import resolve

ITEM = {"question": "48 + 24?", "answer": "48 + 24 = <<48+24=72>>72\n#### 72"}
TAGS = "<reasoning>\n48 + 24 = 72\n</reasoning>\n<answer>\n72\n</answer>"
THOUGHT = "<think>\n48 + 24 = 72\n</think>\n\n"
BOX = r"Put the answer within \boxed{}."


def taught(given: dict[str, str], item: dict[str, Any] = ITEM) -> tuple[str, list[float | None]]:
    """The solution of a row, and what each reward of the run pays for it."""
    settings = resolve({"GRPO_WARM_START_STEPS": "2", **given}).settings
    row = row_of(item, "row 1", settings, needs_gold=True)
    paid = [rewards.as_trl_function(each) for each in rewards.load(settings.rewards)]
    batch = {"completions": [row["solution"]], "answer": [row["answer"]]}
    return row["solution"], [score for function in paid for score in function(**batch)]


def test_doctests() -> None:
    assert doctest.testmod(solutions).failed == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, TAGS),
        ({"GRPO_RECIPE": "smoke"}, TAGS),
        ({"GRPO_SYSTEM_PROMPT": "", "GRPO_REWARDS": "correct_anywhere,tag_count"}, TAGS),
        ({"GRPO_SYSTEM_PROMPT": "", "GRPO_REWARDS": "exact"}, TAGS),
        ({"GRPO_RECIPE": "thinking"}, rf"{THOUGHT}\boxed{{72}}"),
        ({"GRPO_SYSTEM_PROMPT": "", "GRPO_REWARDS": "exact,think_format"}, f"{THOUGHT}72"),
        ({"GRPO_SYSTEM_PROMPT": "", "GRPO_REWARDS": "correct,think_format"}, f"{THOUGHT}<answer>\n72\n</answer>"),
        ({"GRPO_SYSTEM_PROMPT": "Think in <think>.", "GRPO_REWARDS": "correct_anywhere"}, f"{THOUGHT}72"),
        ({"GRPO_SYSTEM_PROMPT": BOX, "GRPO_REWARDS": "correct_anywhere"}, "48 + 24 = 72\n\n\\boxed{72}"),
        ({"GRPO_SYSTEM_PROMPT": "End with ####.", "GRPO_REWARDS": "correct_anywhere"}, "48 + 24 = 72\n\n#### 72"),
        ({"GRPO_SYSTEM_PROMPT": "Solve it.", "GRPO_REWARDS": "correct_anywhere"}, "48 + 24 = 72\n\n72"),
    ],
)
def test_a_solution_is_written_as_it_is_asked_for_and_every_reward_pays_it(given: dict[str, str], said: str) -> None:
    told, paid = taught(given)
    assert told == said
    assert set(paid) == {1.0}


def test_a_row_may_ask_for_its_form_itself() -> None:
    item = {**ITEM, "question": f"48 + 24? {BOX}"}
    told, _ = taught({"GRPO_SYSTEM_PROMPT": "", "GRPO_REWARDS": "correct_anywhere"}, item)
    assert told == "48 + 24 = 72\n\n\\boxed{72}"


@pytest.mark.parametrize("recipe", ["gsm8k", "thinking"])
def test_tags_within_the_work_are_dropped(recipe: str) -> None:
    item = {**ITEM, "answer": "<think>48 + 24</think> <answer>= 72</answer>\n#### 72"}
    told, _ = taught({"GRPO_RECIPE": recipe}, item)
    assert told.count("<answer>") == (recipe == "gsm8k")
    assert told.count("</think>") == (recipe == "thinking")


@pytest.mark.parametrize("opening", ["<think>", "<reasoning>"])
@pytest.mark.parametrize("solution", [TAGS, f"{THOUGHT}72", "48 + 24 = 72\n\n72"])
def test_an_opening_of_the_prompt_is_closed_and_not_repeated(opening: str, solution: str) -> None:
    told = solutions.going_on(opening, solution)
    assert told.startswith(f"48 + 24 = 72\n{opening.replace('<', '</')}\n")
    assert opening not in told
    assert "72" in told.rpartition(">")[2] or told.endswith("<answer>\n72\n</answer>")
