"""The adapter where vLLM reads training's weights, with a stand-in for Unsloth's model."""

import os
from types import SimpleNamespace

import pytest

from grpo_job.engines.rollouts.shared_weights import MERGED, SharedWeights


def test_unsloths_own_fold_is_switched_off_for_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MERGED, "1")
    model = SimpleNamespace(load_lora=lambda folder, load_tensors: os.environ[MERGED])
    weights = SharedWeights(model)
    assert (weights.serve("on"), weights.serve("on", unfolded=True), weights.serve("on")) == ("1", "0", "1")
