"""What an engine's gradients are on a GPU, and what plain formulas say; see `tests/engines/gradients.py`.

python -m tests.gpu.gradients train FOLDER VARIANT BETA ITERATIONS
python -m tests.gpu.gradients compare FOLDER

`train` runs one generation through an engine and writes what it saw to FOLDER; `compare`, in a process without Unsloth,
prints one JSON line per micro-batch and loss. TEST_MODEL names the model; default: the embedded sample.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job import engines, preflight
from grpo_job.runtime import library_env
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.gpu.adapter_off import Deaf
from tests.gpu.runs import SMOKE, cache

VARIANTS = {
    "graphs": {"GRPO_ENGINE": "unsloth", "GRPO_TRAINING_GRAPHS": "true"},
    "kernels": {"GRPO_ENGINE": "unsloth", "GRPO_TRAINING_GRAPHS": "false"},
    "pieces": {"GRPO_ENGINE": "unsloth", "GRPO_TRAINING_GRAPHS": "false"},
    "merged": {"GRPO_ENGINE": "unsloth", "GRPO_TRAINING_GRAPHS": "false"},
    "trl": {"GRPO_ENGINE": "trl"},
    "merged_trl": {"GRPO_ENGINE": "trl"},
}
MERGED = ("dapo", "cispo")  # the losses of which micro-batches may become one
COMPLETIONS = 16  # of the generation
PIECES = 4  # into which Unsloth cuts a micro-batch of the variant of this name
COMMON = {
    **SMOKE, "GRPO_MODEL": os.environ.get("TEST_MODEL", "sample"), "GRPO_LOAD_IN_4BIT": "false",
    "GRPO_MAX_SEQ_LENGTH": "512", "GRPO_MAX_PROMPT_LENGTH": "256", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8",
    "GRPO_NUM_GENERATIONS": "4", "GRPO_GRADIENT_ACCUMULATION_STEPS": "2", "GRPO_MAX_GRAD_NORM": "0",
    "GRPO_LEARNING_RATE": "1e-3", "GRPO_LR_SCHEDULER_TYPE": "constant", "GRPO_REHEARSAL": "never",
    "GRPO_EPSILON_HIGH": "0.28",
}  # fmt: skip


def is_merged(variant: str) -> bool:
    return variant.startswith("merged")


def losses(variant: str) -> tuple[str, ...]:
    """What a variant is asked for."""
    return MERGED if is_merged(variant) else ("grpo", "dapo", "dr_grpo", "cispo")


def by_length(completions: Sequence[Any], **_: Any) -> list[float]:
    """Spread in nearly every group, whatever the model says."""
    return [float(len(str(completion))) for completion in completions]


def train(folder: Path, variant: str, beta: str, iterations: str) -> None:
    for variable in library_env.library_environment(cache(folder)):
        os.environ[variable.name] = variable.value
    steps = {"GRPO_BETA": beta, "GRPO_NUM_ITERATIONS": iterations, "GRPO_MAX_STEPS": iterations}
    settings = resolve({**COMMON, **VARIANTS[variant], **steps}).settings
    checked = preflight.check(settings, os.environ)
    rewards = [(by_length, 1.0)]
    engine: Any = engines.build(
        checked.engine, settings, checked.base, checked.rows.train, rewards, folder, checked.plan
    )
    import torch

    from grpo_job.engines.trainer.lengths import Length
    from grpo_job.engines.trainer.merging import Room
    from tests.engines import gradients

    if variant == "pieces":
        engine.trainer.args.unsloth_grpo_mini_batch = PIECES
    engine.trainer.room = Room(COMPLETIONS, Length(256, 256)) if is_merged(variant) else None
    gradients.stir(engine.model)
    watched = gradients.watch(engine)
    engine.train(Deaf())
    moments = [tuple(moment) for moment in watched.moments]
    seen = {"moments": moments, "iterations": int(iterations), "losses": losses(variant)}
    torch.save({**seen, "settings": settings.model_dump(mode="json")}, folder / "gradients.pt")
    os._exit(0)


def compare(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from grpo_job.engines.trainer.adapter import add_lora
    from grpo_job.inputs import base_model
    from tests.engines import gradients

    seen = torch.load(folder / "gradients.pt", weights_only=True)
    settings, moments = Settings(**seen["settings"]), [gradients.Moment(*moment) for moment in seen["moments"]]
    base = base_model.fetch(settings.model, None).folder
    model = add_lora(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), settings).cuda()
    beta, micro_steps = settings.grpo_config["beta"], len(moments) // seen["iterations"]
    for number, moment in enumerate(moments):
        if not beta and not moment.inputs["advantages"].any():
            continue  # nothing to learn from these rows
        inputs = {name: value.cuda() for name, value in moment.inputs.items()}
        inputs["longest"] = torch.tensor(settings.max_completion_length)
        for loss in seen["losses"]:
            wanted = gradients.reference(
                model, moment._replace(inputs=inputs), moments[0].lora, loss, beta=beta, micro_steps=micro_steps
            )
            cosine, ratio = gradients.apart(moment.gradients[loss], wanted)
            found = {"step": number // micro_steps + 1, "loss": loss, "cosine": cosine, "ratio": ratio}
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    if what == "train":
        train(Path(folder), *rest)
    else:
        compare(Path(folder))
