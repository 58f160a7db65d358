"""What is done inside an attempt's process before its door opens. Picklable, for it is sent there."""

import os
import signal
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SignalAfterStep:
    """The process sends itself `number` when `step` was logged: a real signal at a known place."""

    step: int
    number: int = signal.SIGTERM

    def __call__(self) -> None:
        from grpo_job import training

        original = training.Watcher.on_step

        def on_step(watcher: Any, step: int, metrics: dict[str, float]) -> None:
            original(watcher, step, metrics)
            if step == self.step:
                os.kill(os.getpid(), self.number)

        training.Watcher.on_step = on_step  # type: ignore[method-assign]
