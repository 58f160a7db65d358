"""`cosine_length` holds right what `correct` holds right, by the row's question and options too."""

from typing import Any

import pytest

from grpo_job.rewards import MENU, Reward, as_trl_function


@pytest.mark.parametrize(
    ("given", "answer", "columns", "right"),
    [
        ("Paris", "B", {"choices": ["Rome", "Paris"]}, True),
        ("2, 1", "1, 2", {"question": "Find both roots."}, True),
        ("2, 1", "1, 2", {"question": "Sort these: 2, 1"}, False),
    ],
)
def test_an_answer_is_right_as_correct_finds_it(given: str, answer: str, columns: dict[str, Any], right: bool) -> None:
    batch = {name: [value] for name, value in {"answer": answer, "completion_ids": [1], **columns}.items()}
    for name, wrong in (("correct", 0.0), ("cosine_length", -1.0)):
        pay = as_trl_function(Reward(name, 1.0, MENU[name]))
        (paid,) = pay(prompts=["?"], completions=[f"<answer>{given}</answer>"], **batch)
        assert paid == pytest.approx(1.0 if right else wrong, abs=0.01)
