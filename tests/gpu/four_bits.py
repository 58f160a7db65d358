"""Trains the sample in 4 bits for three steps, and prints how the weights that vLLM serves compare with training's.

python -m tests.gpu.four_bits ENGINE FOLDER
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from grpo_job import engines, preflight, rewards
from grpo_job.runtime import library_env
from grpo_job.settings.reader import resolve
from tests.gpu import runs
from tests.gpu.adapter_off import Deaf

ROWS = 32
SETTINGS = {
    **runs.SMOKE, "GRPO_LOAD_IN_4BIT": "true", "GRPO_MAX_STEPS": "3", "GRPO_LEARNING_RATE": "1e-3",
    "GRPO_WARMUP_STEPS": "0", "GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION": "true",
}  # fmt: skip


class Listening(Deaf):
    """Keeps how far vLLM's log-probabilities are from training's, in each step."""

    def __init__(self) -> None:
        self.apart: list[float] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.apart.append(metrics["sampling/sampling_logp_difference/mean"])


def main(name: str, folder: Path) -> None:
    for variable in library_env.library_environment(runs.cache(folder)):
        os.environ[variable.name] = variable.value
    settings = resolve({**SETTINGS, "GRPO_ENGINE": name, "GRPO_OUTPUT_DIR": str(folder)}).settings
    checked = preflight.check(settings, os.environ)
    functions = [(rewards.as_trl_function(reward, 60), reward.weight) for reward in checked.rewards]
    rows, plan = checked.rows, checked.plan
    engine: Any = engines.build(checked.engine, settings, checked.base, rows.train, functions, folder, plan)
    prompts, listener = [row["prompt"] for row in rows.held_out[:ROWS]], Listening()
    answers = engine.generate(prompts, adapter="off", max_tokens=64)
    base = served(engine)
    told = {"dequantizes": plan.dequantizes, "layers": len(base), "quantized": quantized(engine)}
    told["as_training_computes"] = same(base, dequantized(engine, name == "unsloth"))
    engine.train(listener)
    engine.weights.serve("on")
    folded = served(engine)
    told["moved"] = sum(not same([one], [other]) for one, other in zip(base, folded, strict=True))
    told["answers_come_back"] = engine.generate(prompts, adapter="off", max_tokens=64) == answers
    engine.weights.serve("off")
    told["weights_come_back"] = same(served(engine), base)
    engine.weights.serve("on")
    told["folded_again"] = same(served(engine), folded)
    print(json.dumps({**told, "apart": listener.apart}), flush=True)
    engine.close()
    os._exit(0)


def served(engine: Any) -> list[Any]:
    """Copies of the adapted layers' weights where vLLM reads them."""
    return [place.clone() for _, _, place in engine.weights.layers]


def quantized(engine: Any) -> int:
    """How many of the adapted layers training holds in 4 bits."""
    return sum(hasattr(layer.base_layer.weight, "quant_state") for _, layer, _ in engine.weights.layers)


def dequantized(engine: Any, with_unsloth: bool) -> list[Any]:
    """The base as the training forward multiplies with it: by Unsloth's kernel, or by bitsandbytes'."""
    if with_unsloth:
        from unsloth.kernels.utils import fast_dequantize as dequantize
    else:
        from bitsandbytes.functional import dequantize_4bit as dequantize
    weights = [layer.base_layer.weight for _, layer, _ in engine.weights.layers]
    return [dequantize(weight, weight.quant_state) for weight in weights]


def same(ours: list[Any], theirs: list[Any]) -> bool:
    import torch

    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
