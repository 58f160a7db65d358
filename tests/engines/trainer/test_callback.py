"""What the callback adds to a step's metrics."""

import math
from collections import defaultdict
from types import SimpleNamespace
from unittest.mock import Mock

from grpo_job.engines.base import VllmTrainerEngine
from grpo_job.engines.trainer.callback import ListeningCallback
from grpo_job.engines.trainer.endings import TRUNCATED

NEVER = ("should_save", "should_stop")


def test_what_a_hand_over_kept_is_logged_once_for_it() -> None:
    """Two optimizer steps may learn from one generation."""
    callback = ListeningCallback(steps_per_buffer=2)
    callback.trainer = SimpleNamespace(_metrics={"train": defaultdict(list)}, step_seconds=dict)
    callback.began = callback.clipped = 0.0
    shares = [0.9, None]
    weights = SimpleNamespace(
        notes=["a sentence"], changed=lambda: None, kept=SimpleNamespace(take=lambda: shares.pop(0))
    )
    engine = VllmTrainerEngine()
    engine.callback = callback
    engine._hand_over_by(weights)  # type: ignore[arg-type]
    for _ in range(2):
        callback._measure()
    assert callback.trainer._metrics["train"]["weights/kept"] == [0.9]
    assert len(callback.trainer._metrics["train"]["time/step"]) == 2
    assert engine.notes == ["a sentence"]


def test_completions_are_told_at_each_step_though_none_is_logged() -> None:
    callback = ListeningCallback(steps_per_buffer=1)
    callback.trainer = SimpleNamespace(_metrics={"train": defaultdict(list)}, step_seconds=dict)
    callback.began = callback.clipped = 0.0
    callback.listener = Mock(asked_to_stop=lambda: None, measure=lambda _: {}, **dict.fromkeys(NEVER, lambda _: False))
    for step in (1, 2):
        callback.trainer._logs = {
            "prompt": ["2 + 2?"], "completion": ["4"], "advantages": [0.5],
            "rewards": {"correct": [1.0], "mine": [math.nan]},
            "extra": {"seen": [math.nan], "of_another_length": [1, 2], TRUNCATED: [True]},
        }  # fmt: skip
        callback.on_step_end(None, SimpleNamespace(global_step=step, max_steps=9), SimpleNamespace(should_log=False))
    told = callback.listener.on_completions.call_args_list  # type: ignore[attr-defined]
    assert [(call.args[0], call.args[1][0]["completion"]) for call in told] == [(1, "4"), (2, "4")]
    assert told[0].args[1][0]["rewards"] == {"correct": 1.0, "mine": None}
    assert told[0].args[1][0]["extra"] == {"seen": "nan"}
    assert told[0].args[1][0]["truncated"] is True
