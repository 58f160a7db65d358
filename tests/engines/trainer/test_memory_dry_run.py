"""The longest rows before step 1: they reach the size that was asked for, and leave nothing behind."""

from pathlib import Path

import pytest
import torch

from grpo_job.engines.trainer.memory_dry_run import sizes, stretched
from grpo_job.planner.candidates import Work
from grpo_job.planner.plan import Plan, plan
from grpo_job.planner.shapes import Gpu, ModelShape
from grpo_job.planner.wishes import Wishes
from grpo_job.run_folder.files import read_jsonl
from grpo_job.settings.schema import Settings
from tests.faults import runs
from tests.faults.hooks import WithoutReport

QWEN_3B = ModelShape(151936, 2048, 11008, 36, 2048, 256, tied=True, attention_bias=True)


class Chat:
    """A token a word."""

    def lengths(self, prompts: list[list[dict[str, str]]]) -> list[int]:
        return [sum(len(message["content"].split()) for message in prompt) for prompt in prompts]


ROWS = [{"prompt": [{"role": "user", "content": "a " * number}], "answer": "1"} for number in range(1, 200)]


def plan_on(gigabytes: float) -> Plan:
    return plan(Gpu("a GPU", gigabytes * 1e9, (9, 0)), QWEN_3B, Work(1024, 824, 200, 4, 4, 8, 250), Wishes())


def test_every_row_is_stretched_to_the_longest_and_nothing_is_masked() -> None:
    inputs = {
        "prompt_ids": torch.tensor([[0, 5, 6], [7, 8, 9]]),
        "prompt_mask": torch.tensor([[0, 1, 1], [1, 1, 1]]),
        "completion_ids": torch.tensor([[1, 2], [3, 0]]),
        "completion_mask": torch.tensor([[1, 1], [1, 0]]),
        "old_per_token_logps": torch.tensor([[-1.0, -2.0], [-3.0, 0.0]]),
        "ref_per_token_logps": torch.zeros(2, 3),  # Unsloth's: as wide as the completion and a left padding of 1
        "importance_sampling_ratio": torch.ones(2, 1),
        "advantages": torch.tensor([1.0, -1.0]),
        "num_items_in_batch": torch.tensor(3),
    }
    longer = stretched(inputs, 7, 5)
    assert longer["prompt_ids"].tolist()[0] == [0, 5, 6, 0, 5, 6, 0]
    assert longer["completion_ids"].tolist()[1] == [3, 0, 3, 0, 3]
    assert longer["old_per_token_logps"].shape == longer["ref_per_token_logps"].shape == (2, 5)
    assert longer["prompt_mask"].tolist() == [[1] * 7] * 2
    assert longer["completion_mask"].tolist() == [[1] * 5] * 2
    assert longer["importance_sampling_ratio"].shape == (2, 1)
    assert longer["advantages"] is inputs["advantages"]
    assert inputs["prompt_ids"].shape == (2, 3)


def test_it_is_left_out_where_the_plan_leaves_ample_room() -> None:
    settings = Settings(max_completion_length=200)
    assert sizes(settings, plan_on(140), ROWS, Chat()) is None
    assert sizes(settings, plan_on(11), ROWS, Chat()) == (199, 200)
    assert sizes(settings, None, ROWS, Chat()) is None


def test_it_can_be_asked_for_and_forbidden() -> None:
    asked = Settings(max_completion_length=200, rehearsal="always")
    assert sizes(asked, plan_on(140), ROWS, Chat()) == (199, 200)
    assert sizes(Settings(rehearsal="never"), plan_on(11), ROWS, Chat()) is None


@pytest.mark.slow
def test_a_rehearsed_run_gives_the_same_adapter_and_metrics_byte_for_byte(tmp_path: Path) -> None:
    for word in ("never", "always"):
        settings = {"GRPO_REHEARSAL": word, "GRPO_GRADIENT_ACCUMULATION_STEPS": "2", "GRPO_MAX_STEPS": "3"}
        assert runs.finish(tmp_path / word, settings, hooks=[WithoutReport()]) == 0
    assert runs.difference(runs.result(tmp_path / "never"), runs.result(tmp_path / "always")) == ""
    rows = read_jsonl(tmp_path / "always" / runs.RUN_ID / "metrics.jsonl")
    assert ["time/rehearsal" in row for row in rows] == [True, False, False]
