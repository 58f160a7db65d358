"""The CPU engine over an adapter's weights: they answer, they are the reference, and they come back on resume."""

from pathlib import Path

import pytest
import torch

from grpo_job.engines.trainer.adapter import is_saved_in
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model
from grpo_job.settings.reader import resolve
from tests.engines.test_trl_cpu import QUESTION, ROWS, SETTINGS, WEIGHTS, SavesAfter, by_length


def engine(folder: Path, start: Path | None, **settings: str) -> PlainTrl:
    base, resolved = base_model.fetch("sample", None), resolve({**SETTINGS, **settings}).settings
    return PlainTrl(resolved, base, ROWS, [(by_length, 1.0)], folder, start=start)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of an adapter that changes every answer."""
    folder = tmp_path_factory.mktemp("start")
    made = engine(folder / "run", None)
    torch.manual_seed(1)
    for name, weight in made.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    made.save_adapter(folder / "adapter")
    return folder / "adapter" / WEIGHTS


def test_the_reference_is_the_start_and_is_saved_beside_the_adapter_and_not_published(
    start: Path, tmp_path: Path
) -> None:
    whole, listener = engine(tmp_path / "whole", start), SavesAfter(2)
    assert whole.generate(QUESTION, adapter="on", max_tokens=24) != whole.generate(
        QUESTION, adapter="off", max_tokens=24
    )
    assert not whole.adapter_changes_anything()
    whole.train(listener)  # type: ignore[arg-type]
    assert whole.adapter_changes_anything()
    assert listener.kl[0] == pytest.approx(0.0, abs=1e-6)
    assert listener.kl[-1] > 1e-4
    trained = {name for name, weight in whole.model.named_parameters() if weight.requires_grad}
    assert trained
    assert not any(".ref." in name for name in trained)
    whole.save_adapter(tmp_path / "published")
    assert not (tmp_path / "published" / "ref").exists()
    assert not is_saved_in(whole.model, start)
    cut, again = engine(tmp_path / "cut", start), SavesAfter(99)
    cut.train(again, tmp_path / "whole" / "checkpoint-2")  # type: ignore[arg-type]
    assert again.kl == listener.kl[2:]
    assert is_saved_in(cut.model, tmp_path / "published" / WEIGHTS)


def test_without_a_reference_one_adapter_is_held(start: Path, tmp_path: Path) -> None:
    assert list(engine(tmp_path, start, GRPO_BETA="0").model.peft_config) == ["default"]
