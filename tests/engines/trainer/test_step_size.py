"""A step goes as far as the square root of the share of its groups that differ, and the schedule stays as it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from grpo_job.engines.trainer.adapter import is_saved_in
from grpo_job.engines.trainer.step_size import StepSize
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.reader import resolve
from tests.engines.trainer.test_dynamic_sampling import GROUP, PROMPTS, ROWS, SETTINGS, Listener

pytestmark = pytest.mark.slow

RATE = 1e-3


def the_first_group_of_a_step_differs(completions: Sequence[Any], **_: Any) -> list[float]:
    return [float(place) if place < GROUP else 1.0 for place in range(len(completions))]


def trained(folder: Path, start: Path | None = None, **settings: str) -> tuple[PlainTrl, Listener]:
    resolved = resolve({**SETTINGS, "GRPO_LEARNING_RATE": str(RATE), **settings}).settings
    rewards = [(the_first_group_of_a_step_differs, 1.0)]
    made, listener = PlainTrl(resolved, base_model.fetch("sample", None), ROWS, rewards, folder), Listener()
    made.train(listener, start)  # type: ignore[arg-type]
    return made, listener


def moved(engine: PlainTrl) -> torch.Tensor:
    """The second matrices of the LoRA, which start at zero."""
    return torch.cat(
        [weight.detach().flatten() for name, weight in engine.model.named_parameters() if "lora_B" in name]
    )


def test_where_one_group_of_three_differs_a_step_is_shorter_by_the_root_of_three(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "none", GRPO_MAX_STEPS="1")
    scaled, told = trained(tmp_path / "groups", GRPO_MAX_STEPS="1", GRPO_SCALE_UPDATES="groups")
    assert told.told[0]["frac_reward_zero_std"] == pytest.approx(1 - 1 / PROMPTS)
    assert moved(whole).any()
    torch.testing.assert_close(moved(scaled), moved(whole) / PROMPTS**0.5)


def test_the_rate_of_the_schedule_is_told_and_kept(tmp_path: Path) -> None:
    rates = {"GRPO_LR_SCHEDULER_TYPE": "constant", "GRPO_SCALE_UPDATES": "groups"}
    engine, listener = trained(tmp_path, **rates)
    assert [step["learning_rate"] for step in listener.told] == [RATE] * len(listener.told)
    assert [group["lr"] for group in engine.trainer.optimizer.param_groups] == [RATE] * 2


@pytest.mark.parametrize(("scale", "length"), [("groups", 0.5), ("none", 1.0)])
def test_an_optimizer_steps_by_the_root_of_the_share_where_that_is_asked_for(scale: str, length: float) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    size = StepSize(resolve({"GRPO_RECIPE": "smoke", "GRPO_SCALE_UPDATES": scale}).settings)
    size.attach(optimizer)
    size.share, weight.grad = 0.25, -torch.ones(1)
    optimizer.step()
    assert (weight.item(), optimizer.param_groups[0]["lr"]) == (length, 1.0)


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", GRPO_SCALE_UPDATES="groups")
    half = tmp_path / "whole" / "checkpoint-2"
    again, _ = trained(tmp_path / "again", half, GRPO_SCALE_UPDATES="groups")
    again.save_adapter(tmp_path / "adapter")
    assert is_saved_in(whole.model, tmp_path / "adapter" / WEIGHTS)
