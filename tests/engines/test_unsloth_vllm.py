"""What the Unsloth engine asks of its trainer, told without a GPU."""

from types import SimpleNamespace

import pytest

from grpo_job.engines.unsloth_vllm import whole_micro_batches


@pytest.mark.parametrize(("graphs", "asked"), [(True, {"unsloth_grpo_mini_batch": 8}), (False, {})])
def test_with_training_graphs_a_micro_batch_is_one_piece(graphs: bool, asked: dict[str, int]) -> None:
    plan = SimpleNamespace(training_graphs=graphs)
    assert whole_micro_batches({"per_device_train_batch_size": 8}, plan) == asked  # type: ignore[arg-type]
