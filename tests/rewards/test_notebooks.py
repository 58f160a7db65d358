"""Rewards as people wrote them go in unchanged: called with rows as the job holds them, through every way in."""

import json
from pathlib import Path
from typing import Any

import pytest

from grpo_job.rewards import as_trl_function, load
from tests.rewards import notebooks

COLUMNS = {
    "task": "math", "target": "4", "nums": [2, 2], "ground_truth": "4", "data_source": "sums",
    "extra_info": {"index": 7},
}  # fmt: skip
ROW = {"prompt": [{"role": "user", "content": "2 + 2?"}], "question": "2 + 2?", "answer": "4", "answers": ["4"]}
COMPLETIONS = ["<answer>2 + 2</answer> 4", "It is \\boxed{4}", "<answer>4</answer>"]
PAID: dict[str, list[float | None]] = {
    "correctness_reward_func": [0.0, 0.0, 2.0],
    "int_reward_func": [0.0, 0.0, 0.5],
    "reward_len": [-4.0, -5.0, -2.0],
    "reward_num_unique_letters": [13.0, 14.0, 10.0],
    "reward_func": [0.0, 1.0, 0.0],
    "async_reward_func": [4.0, 3.0, 1.0],
    "multi_task_reward": [1.0, 1.0, 1.0],
    "equation_reward_func": [1.0, 0.0, 0.0],
    "length_penalty": [-3.8, -2.0, -2.6],
    "compute_score": [1.5, 0.5, 0.5],
}


def batch(as_messages: bool) -> dict[str, Any]:
    """As the trainer hands it over: the rows' own columns travel as JSON."""
    size = len(COMPLETIONS)
    row = {**ROW, "columns": json.dumps(COLUMNS)}
    columns = {name: [value] * size for name, value in row.items() if name != "prompt"}
    completions: list[Any] = list(COMPLETIONS)
    if as_messages:
        completions = [[{"role": "assistant", "content": text}] for text in COMPLETIONS]
    ids = [[0] * len(text) for text in COMPLETIONS]
    return {"prompts": [ROW["prompt"]] * size, "completions": completions, "completion_ids": ids, **columns}


def test_there_are_ten() -> None:
    assert list(notebooks.ALL) == list(PAID)
    assert len(PAID) == 10


@pytest.mark.parametrize("as_messages", [True, False])
@pytest.mark.parametrize("name", PAID)
def test_it_is_paid_as_it_was_written(name: str, as_messages: bool) -> None:
    [reward] = load([(f"{Path(notebooks.__file__)}::{name}", 1.0)])
    assert as_trl_function(reward, 60)(**batch(as_messages)) == pytest.approx(PAID[name])


def test_those_of_trl_go_in_by_their_dotted_names() -> None:
    rewards = load([("trl.rewards.think_format_reward", 1.0), ("trl.rewards.accuracy_reward", 1.0)])
    think, accuracy = (as_trl_function(reward, 60) for reward in rewards)
    texts = ["<think>\nIt is 4.\n</think>\n\\boxed{4}", "\\boxed{5}"]
    columns = {"answer": ["4", "4"], "columns": [json.dumps({"solution": "$4$"})] * 2}
    assert think(prompts=[[]] * 2, completions=texts, **columns) == [1.0, 0.0]
    assert accuracy(prompts=[[]] * 2, completions=texts, **columns) == [1.0, 0.0]
