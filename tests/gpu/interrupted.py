"""The container's door, which sends itself a SIGTERM at a named moment.

python -m tests.gpu.interrupted MOMENT

The time of the signal (seconds since the epoch) goes to the file `signalled_at` in GRPO_OUTPUT_DIR.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from grpo_job.engines.patches.import_hooks import on_import
from grpo_job.runtime.signals import Interruption

# moment -> module, class and method that is then under way, its how-manieth call, and seconds into it
MOMENTS = {
    "start of vLLM": ("vllm.entrypoints.llm", "LLM", "__init__", 1, 2.0),
    "generation": ("grpo_job.engines.rollouts.generate", "Rollouts", "generate", 7, 0.02),
    "training step": ("grpo_job.engines.trainer.callback", "ListeningCallback", "on_pre_optimizer_step", 9, 0.0),
    "save": ("grpo_job.phases.train", "TrainingListener", "on_save", 1, 0.0),
}


def signalled_in(original: Callable[..., Any], call: int, seconds: float) -> Callable[..., Any]:
    """`original`, whose `call`-th call is interrupted `seconds` after it began."""
    calls = 0

    def method(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            threading.Timer(seconds, send).start()
        return original(*arguments, **options)

    return method


def send() -> None:
    (Path(os.environ["GRPO_OUTPUT_DIR"]) / "signalled_at").write_text(str(time.time()))
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    interruption = Interruption().install()
    module_name, class_name, method_name, call, seconds = MOMENTS[sys.argv.pop()]

    def plant(module: ModuleType) -> None:
        kind = getattr(module, class_name)
        setattr(kind, method_name, signalled_in(getattr(kind, method_name), call, seconds))

    from grpo_job.cli import main

    with on_import(module_name, plant):
        main(obj=interruption)
