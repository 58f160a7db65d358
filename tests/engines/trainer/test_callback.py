"""What the callback adds to a step's metrics."""

from collections import defaultdict
from types import SimpleNamespace

from grpo_job.engines.base import VllmTrainerEngine
from grpo_job.engines.trainer.callback import ListeningCallback


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
