"""The warm start: its gradient is that of the solutions' likelihood; what a resume ends with; what GRPO sees after."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from grpo_job.engines.trainer.adapter import is_saved_in
from grpo_job.engines.trainer.sampler import RowStream, WarmRows
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.reader import resolve

ROWS = [
    {
        "prompt": [{"role": "user", "content": f"What is {n} + 2?"}],
        "answer": str(n + 2),
        "solution": f"<reasoning>\n{n} + 2 = {n + 2}\n</reasoning>\n<answer>\n{n + 2}\n</answer>" if n != 3 else "",
    }
    for n in range(8)
]
SETTINGS = {
    "GRPO_RECIPE": "smoke",
    "GRPO_MAX_STEPS": "2",
    "GRPO_WARM_START_STEPS": "2",
    "GRPO_WARM_START_LEARNING_RATE": "2e-3",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4",
    "GRPO_NUM_GENERATIONS": "4",
    "GRPO_MAX_COMPLETION_LENGTH": "64",
    "GRPO_BETA": "0.04",
}


def by_length(completions: Sequence[Any], **_: Any) -> list[float]:
    return [float(len(str(completion))) for completion in completions]


def engine(folder: Path, **settings: str) -> PlainTrl:
    resolved = resolve({**SETTINGS, **settings}).settings
    return PlainTrl(resolved, base_model.fetch("sample", None), ROWS, [(by_length, 1.0)], folder)


class Listener:
    """Asks for a checkpoint after each step, and remembers what each step told."""

    def __init__(self) -> None:
        self.told = list[dict[str, float]]()

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.told.append(metrics)

    def should_save(self, step: int) -> bool:
        return True

    def should_stop(self, step: int) -> bool:
        return False

    def measure(self, step: int) -> dict[str, float]:
        return {}

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlainTrl, list[dict[str, float]]]:
    """A folder with the checkpoints after each of 4 steps, the engine after them, what each step told."""
    folder, listener = tmp_path_factory.mktemp("whole"), Listener()
    trained = engine(folder)
    trained.train(listener)  # type: ignore[arg-type]
    return folder, trained, listener.told


@pytest.mark.parametrize("block", ["reasoning", "think"])
def test_a_tag_that_the_prompt_ends_with_is_closed_and_not_learned_a_second_time(block: str, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text(f"{{{{ messages[-1].content }}}}{{% if add_generation_prompt %}}<{block}>\n{{% endif %}}")
    trainer = engine(tmp_path / "run", GRPO_CHAT_TEMPLATE=str(template)).trainer
    batch = trainer.warm_start.batch(trainer, ROWS[:1])
    asked, told = (trainer.processing_class.decode(batch[f"{part}_ids"][0]) for part in ("prompt", "completion"))
    assert asked.endswith(f"<{block}>\n")
    assert told.startswith(f"0 + 2 = 2\n</{block}>\n<answer>\n2\n</answer>")


@pytest.mark.parametrize("loss", ["dapo", "grpo", "bnpo", "cispo", "sapo"])
def test_its_gradient_is_that_of_the_solutions_negative_log_likelihood(loss: str, tmp_path: Path) -> None:
    clip = {"GRPO_EPSILON_HIGH": "5"} if loss == "cispo" else {}  # cispo clips its weight of 1 there
    trainer = engine(tmp_path, GRPO_LOSS_TYPE=loss, **clip).trainer
    trainer.current_gradient_accumulation_steps = 1
    model = trainer.model.eval()
    model.train = lambda mode=True: model  # no dropout, so that both see the same model
    inputs = trainer.warm_start.batch(trainer, ROWS[:1])
    trainer.compute_loss(model, inputs).backward()
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad and "lora_B" in name}
    ours = {name: weight.grad.clone() for name, weight in weights.items()}
    model.zero_grad()
    tokenize = trainer.processing_class
    text = tokenize.apply_chat_template(ROWS[0]["prompt"], tokenize=False, add_generation_prompt=True)
    prompt = tokenize(text, add_special_tokens=False)["input_ids"]
    told = [*tokenize(ROWS[0]["solution"], add_special_tokens=False)["input_ids"], tokenize.eos_token_id]
    logits = model(input_ids=torch.tensor([[*prompt, *told]])).logits[0, len(prompt) - 1 : -1]
    torch.nn.functional.cross_entropy(logits, torch.tensor(told)).backward()
    assert all(torch.allclose(ours[name], weights[name].grad, rtol=1e-3, atol=1e-7) for name in ours)
    assert any(grad.abs().max() > 0 for grad in ours.values())


@pytest.mark.slow
def test_a_run_that_is_cut_in_the_warm_start_ends_with_the_bytes_of_a_whole_one(
    whole: tuple[Path, PlainTrl, list[dict[str, float]]], tmp_path: Path
) -> None:
    folder, trained, told = whole
    trained.save_adapter(tmp_path / "whole")
    for step in (1, 2, 3):
        again, listener = engine(tmp_path / str(step)), Listener()
        again.train(listener, folder / f"checkpoint-{step}")  # type: ignore[arg-type]
        assert [one["grad_norm"] for one in listener.told] == [one["grad_norm"] for one in told[step:]]
        assert is_saved_in(again.model, tmp_path / "whole" / WEIGHTS)


def test_its_steps_are_marked_come_first_and_have_their_own_learning_rate(
    whole: tuple[Path, PlainTrl, list[dict[str, float]]],
) -> None:
    told = whole[2]
    assert ["warm_start" in one for one in told] == [True, True, False, False]
    assert ["reward" in one for one in told] == [False, False, True, True]
    assert [one["learning_rate"] for one in told] == pytest.approx([2e-3, 2e-3, 1e-3, 0.5e-3])
    assert [one["epoch"] for one in told] == pytest.approx([0, 0, 1 / 8, 2 / 8])
    assert "kl" not in told[0]
    assert told[2]["kl"] > 0, "the reference is the base, and the warm start has moved the adapter"


def test_grpo_sees_the_rows_that_it_sees_without_a_warm_start() -> None:
    shape: dict[str, Any] = {"chunk": 2, "group": 2, "repeats": 1, "shuffle": True, "seed": 3}
    first = WarmRows(rows=[0, 2, 4], size=2, copies=2, batches=3)
    indices = list(RowStream(5, length=32, first=first, **shape))
    warm, after = indices[:12], indices[12:]
    assert after == list(RowStream(5, length=20, **shape))
    assert all(warm[start : start + 2] == warm[start + 2 : start + 4] for start in (0, 4, 8))
    fresh = [row for start in (0, 4, 8) for row in warm[start : start + 2]]
    assert sorted(fresh[:3]) == sorted(fresh[3:]) == [0, 2, 4]
