"""The gradient of each step on a CPU is that of plain formulas, for each loss, with a reference and off policy."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from grpo_job.engines.trainer.adapter import add_lora
from grpo_job.inputs import base_model
from tests.engines import gradients
from tests.engines.option_effects import Counts, engine, settings_of

pytestmark = pytest.mark.slow

MICRO_STEPS = 2


@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("iterations", [1, 2])
def test_the_gradient_of_each_micro_batch_is_that_of_the_formulas(beta: float, iterations: int, tmp_path: Path) -> None:
    settings = settings_of(
        {
            "GRPO_BETA": str(beta), "GRPO_NUM_ITERATIONS": str(iterations), "GRPO_MAX_STEPS": str(iterations),
            "GRPO_GRADIENT_ACCUMULATION_STEPS": str(MICRO_STEPS), "GRPO_MAX_GRAD_NORM": "0",
            "GRPO_MAX_COMPLETION_LENGTH": "24", "GRPO_EPSILON_HIGH": str(gradients.HIGH),
        }
    )  # fmt: skip
    made = engine(tmp_path, settings)
    gradients.stir(made.model)
    watched = gradients.watch(made)
    made.train(Counts())
    base = AutoModelForCausalLM.from_pretrained(base_model.fetch("sample", None).folder, dtype=torch.float32)
    plain = add_lora(base, settings)
    assert len(watched.moments) == iterations * MICRO_STEPS
    for moment in watched.moments:
        moment.inputs["longest"] = torch.tensor(settings.max_completion_length)
        for loss in gradients.LOSSES:
            wanted = gradients.reference(
                plain, moment, watched.moments[0].lora, loss, beta=beta, micro_steps=MICRO_STEPS
            )
            cosine, ratio = gradients.apart(moment.gradients[loss], wanted)
            assert (cosine, ratio) == (pytest.approx(1, abs=1e-5), pytest.approx(1, abs=1e-3)), loss


def test_a_step_learns_from_the_sum_of_its_micro_batches(tmp_path: Path) -> None:
    made = engine(tmp_path, settings_of({"GRPO_GRADIENT_ACCUMULATION_STEPS": "2", "GRPO_MAX_GRAD_NORM": "0"}))
    watched = gradients.watch(made)
    made.train(Counts())
    for number, step in enumerate(watched.steps):
        first, second = (moment.gradients["dapo"] for moment in watched.moments[2 * number : 2 * number + 2])
        together = {name: first[name] + second[name] for name in first}
        torch.testing.assert_close(step, together)
