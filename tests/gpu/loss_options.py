"""Which options of the loss act on an engine's micro-batch on a GPU: prints one JSON object, option -> (without, with).

python -m tests.gpu.loss_options FOLDER ENGINE
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from grpo_job import engines, preflight
from grpo_job.runtime import library_env
from grpo_job.settings.reader import resolve
from tests.gpu.adapter_off import Deaf
from tests.gpu.gradients import COMMON, by_length
from tests.gpu.runs import cache

WIDE = 0.7  # std of what is added to old, reference and sampling log-probabilities, far beyond any clip
SHIFTED = {"old_per_token_logps", "ref_per_token_logps", "sampling_per_token_logps"}
SAPO, VESPO = {"loss_type": "sapo"}, {"loss_type": "vespo"}
# Option -> its value, and the options beside it.
OPTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "beta": (0.5, {}),
    "delta": (1.1, {}),
    "entropy_coef": (0.1, {}),
    "epsilon": (0.5, {}),
    "epsilon_high": (0.9, {}),
    "importance_sampling_level": ("sequence", {}),
    "loss_type": ("dr_grpo", {}),
    "off_policy_mask_threshold": (0.01, {}),
    "sapo_temperature_neg": (3.0, SAPO),
    "sapo_temperature_pos": (3.0, SAPO),
    "top_entropy_quantile": (0.5, {}),
    "use_bias_correction_kl": (False, {}),
    # Each alone: both together weigh a ratio as far from 1 as these with nearly nothing, whatever they are.
    "vespo_k_neg": (1.0, {**VESPO, "vespo_lambda_neg": 0.0}),
    "vespo_k_pos": (1.0, {**VESPO, "vespo_lambda_pos": 0.0}),
    "vespo_lambda_neg": (1.0, {**VESPO, "vespo_k_neg": 0.0}),
    "vespo_lambda_pos": (1.0, {**VESPO, "vespo_k_pos": 0.0}),
}


class Set:
    """The trainer with these options, in its arguments and in its own attributes."""

    ELSEWHERE = {"epsilon": "epsilon_low"}  # noqa: RUF012 -- never changed

    def __init__(self, trainer: Any, options: dict[str, Any]) -> None:
        self.trainer, self.options, self.kept = trainer, options, list[tuple[Any, str, Any]]()

    def __enter__(self) -> None:
        for name, value in self.options.items():
            for owner, attribute in ((self.trainer.args, name), (self.trainer, self.ELSEWHERE.get(name, name))):
                if hasattr(owner, attribute):
                    self.kept.append((owner, attribute, getattr(owner, attribute)))
                    setattr(owner, attribute, value)
        self.kept.append((self.trainer, "_entropy_bonus_enabled", False))
        self.trainer._entropy_bonus_enabled = bool(self.options.get("entropy_coef"))

    def __exit__(self, *_: object) -> None:
        for owner, attribute, value in self.kept:
            setattr(owner, attribute, value)


def main(folder: Path, name: str) -> None:
    for variable in library_env.library_environment(cache(folder)):
        os.environ[variable.name] = variable.value
    own = {"GRPO_ENGINE": name, "GRPO_BETA": "0.1", "GRPO_NUM_ITERATIONS": "2", "GRPO_MAX_STEPS": "2"}
    own["GRPO_OFF_POLICY_MASK_THRESHOLD"] = "1000"  # masks nothing, but has vLLM tell its log-probabilities
    settings = resolve({**COMMON, **own, "GRPO_TRAINING_GRAPHS": "false"}).settings
    checked = preflight.check(settings, os.environ)
    rewards = [(by_length, 1.0)]
    engine: Any = engines.build(
        checked.engine, settings, checked.base, checked.rows.train, rewards, folder, checked.plan
    )
    import torch

    found: dict[str, tuple[float, float]] = {}
    trainer, compute = engine.trainer, engine.trainer.compute_loss

    def look(model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        def loss(changed: dict[str, Any]) -> float:
            with Set(trainer, changed):
                return float(compute(model, dict(shifted), *arguments, **options).detach())

        if not found:
            generator = torch.Generator(model.device).manual_seed(3)
            shifted = dict(inputs)
            for key in sorted(SHIFTED & inputs.keys()):
                noise = torch.randn(inputs[key].shape, generator=generator, device=model.device)
                shifted[key] = inputs[key] + WIDE * noise
            for option, (value, beside) in OPTIONS.items():
                found[option] = loss(beside), loss({**beside, option: value})
        return compute(model, inputs, *arguments, **options)

    trainer.compute_loss = look
    engine.train(Deaf())
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
