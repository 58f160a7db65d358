"""What a user's unit test of a reward calls: it pays as a run does, and fails as a run does."""

import sys
from pathlib import Path
from typing import Any

import pytest

import grpo_job
from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import RewardFailed, correct

RIGHT = "<reasoning>\n48 + 24\n</reasoning>\n<answer>\n72\n</answer>\n"


def test_rewards_of_the_menu_are_imported_by_name() -> None:
    assert correct(RIGHT, "72") == 1.0


@pytest.mark.parametrize("answer", [72, "72", ["71", 72], 72.0])
def test_each_reward_pays_for_each_row(answer: Any) -> None:
    rows = [{"completion": RIGHT, "answer": answer}, {"completion": "72", "answer": answer}]
    paid = grpo_job.try_rewards(["correct", "format_tags"], rows)
    assert paid == [{"correct": 1.0, "format_tags": 1.0}, {"correct": 0.0, "format_tags": 0.0}]


def test_a_function_gets_the_columns_that_it_asks_for() -> None:
    def brief(completion: str, level: int, question: str) -> float:
        return level + len(question) - len(completion)

    rows = [{"completion": "four", "level": 3, "prompt": "2 + 2?"}, {"completion": "4", "level": 5, "question": "?"}]
    assert grpo_job.try_rewards(brief, rows) == [{"brief": 5.0}, {"brief": 5.0}]


def test_trls_signature_gets_its_own_shapes() -> None:
    async def first_words(prompts: Any, completions: Any, **kwargs: Any) -> list[float]:
        assert prompts[0] == [{"role": "user", "content": "2 + 2?"}]
        return [float(each[0]["content"] == kind) for each, kind in zip(completions, kwargs["kind"], strict=True)]

    assert grpo_job.try_rewards(first_words, [{"completion": "a", "prompt": "2 + 2?", "kind": "a"}]) == [
        {"first_words": 1.0}
    ]


def test_what_trls_trainer_adds_is_there_outside_of_training() -> None:
    def by_progress(
        completions: Any, trainer_state: Any, log_extra: Any, log_metric: Any, **kwargs: Any
    ) -> list[float]:
        log_extra("said", list(completions))
        log_metric("length", 1.0)
        return [1.0 - trainer_state.global_step / trainer_state.max_steps] * len(completions)

    assert grpo_job.try_rewards(by_progress, [{"completion": "a"}]) == [{"by_progress": 1.0}]


def test_the_state_of_a_trainer_is_whole_outside_of_training() -> None:
    from transformers import TrainerState

    seen: list[Any] = []

    def asks(completions: Any, trainer_state: Any, **kwargs: Any) -> list[float]:
        seen.append(trainer_state)
        return [0.0] * len(completions)

    grpo_job.try_rewards(asks, [{"completion": "a"}])
    assert vars(seen[0]).keys() == vars(TrainerState()).keys()


def test_a_file_and_options_are_named_as_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "of_mine.py").write_text("def brief(completion, *, longest=3): return len(completion) <= longest\n")
    name = f"{tmp_path}/of_mine.py::brief"
    rows = [{"completion": "four"}]
    assert grpo_job.try_rewards(name, rows) == [{"brief": 0.0}]
    assert grpo_job.try_rewards(name, rows, {"brief": {"longest": 4}}) == [{"brief": 1.0}]
    sys.modules.pop("of_mine", None)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidRun, match="row 2 has the columns answer; a completion is needed"):
        grpo_job.try_rewards("correct", [{"completion": "4"}, {"answer": "4"}])
    with pytest.raises(InvalidRun, match="there is no reward 'corect'"):
        grpo_job.try_rewards("corect", [])
    with pytest.raises(RewardFailed, match="asks for level; there are answer, completion"):
        grpo_job.try_rewards(lambda completion, answer, level: 1.0, [{"completion": "4"}])
