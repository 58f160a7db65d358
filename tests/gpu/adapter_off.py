"""Trains the sample for a few steps through Unsloth and prints what it answers before and after, adapter off and on.

python -m tests.gpu.adapter_off FOLDER
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from grpo_job import engines, preflight, rewards
from grpo_job.runtime import library_env
from grpo_job.settings.reader import resolve
from tests.gpu.runs import SMOKE, cache

SETTINGS = {**SMOKE, "GRPO_ENGINE": "unsloth", "GRPO_MAX_STEPS": "10"}
ROWS = 64


class Deaf:
    """A listener that asks for nothing."""

    def measure(self, step: int) -> dict[str, float]:
        return {}

    def __getattr__(self, name: str) -> Any:
        return lambda *_: False


def main(folder: Path) -> None:
    for variable in library_env.library_environment(cache(folder)):
        os.environ[variable.name] = variable.value
    settings = resolve(SETTINGS).settings
    checked = preflight.check(settings, os.environ)
    functions = [(rewards.as_trl_function(reward, 60), reward.weight) for reward in checked.rewards]
    engine = engines.build(checked.engine, settings, checked.base, checked.rows.train, functions, folder, checked.plan)
    prompts = [row["prompt"] for row in checked.rows.held_out[:ROWS]]
    answers = {"base": engine.generate(prompts, adapter="off", max_tokens=64)}
    engine.train(Deaf())
    for adapter in ("on", "off"):
        answers[adapter] = engine.generate(prompts, adapter=adapter, max_tokens=64)
    print(json.dumps(answers), flush=True)
    engine.close()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
