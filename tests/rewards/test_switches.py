"""What a reward switches in torch and numpy stays with the reward."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from grpo_job.rewards import Reward, as_trl_function, switches


@pytest.fixture(autouse=True)
def _none_left_by_other_rewards() -> Iterator[None]:
    switches._of_rewards.clear()
    yield
    switches._of_rewards.clear()


def seen() -> tuple[object, ...]:
    return (
        torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device().type, torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(), np.geterr()["divide"],
    )  # fmt: skip


def switches_all(completion: str) -> float:
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.use_deterministic_algorithms(True)
    np.seterr(divide="raise")
    return 1.0


def test_training_goes_on_with_its_own_switches_and_the_reward_with_its_own() -> None:
    of_the_run, of_the_reward = seen(), []

    def looks(completion: str) -> float:
        of_the_reward.append(seen())
        return 1.0

    for function in (switches_all, looks, looks):
        as_trl_function(Reward("mine", 1.0, function, own=True), 60.0)(completions=["4"])
        assert seen() == of_the_run
    assert of_the_reward[0] == of_the_reward[1]
    assert not [ours for ours, theirs in zip(of_the_run, of_the_reward[0], strict=True) if ours == theirs]


def test_one_that_fails_leaves_the_switches_as_they_were() -> None:
    def fails(completion: str) -> float:
        torch.set_grad_enabled(False)
        raise ValueError

    with pytest.raises(Exception, match="mine"):
        as_trl_function(Reward("mine", 1.0, fails, own=True))(completions=["4"])
    assert torch.is_grad_enabled()


IMPORTS = """
import sys
from grpo_job.rewards import as_trl_function, load
assert "torch" not in sys.modules
(reward,) = load([("./mine.py::paid", 1.0)])
torch = sys.modules["torch"]
print(torch.is_grad_enabled(), torch.get_default_dtype(), as_trl_function(reward)(completions=["4"]))
"""
MINE = """
import torch
torch.set_grad_enabled(False)
torch.set_default_dtype(torch.float64)
def paid(completion):
    return float(not torch.is_grad_enabled()) + torch.tensor(1.0).element_size()
"""


def test_a_file_that_loads_torch_and_switches_it_does_so_for_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    ended = subprocess.run([sys.executable, "-c", IMPORTS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout == "True torch.float32 [9.0]\n", ended.stderr


def test_one_without_torch_needs_none(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def paid(completion): return 1.0")
    code = "import sys; sys.modules['torch'] = sys.modules['numpy'] = None\n" + IMPORTS.split("torch = ")[0]
    code = code.replace('assert "torch" not in sys.modules\n', "") + "print(as_trl_function(reward)(completions=['4']))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout == "[1.0]\n", ended.stderr
