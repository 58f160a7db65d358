"""What is put around Unsloth's loss, with a stand-in for the module that Unsloth writes; Unsloth needs a GPU."""

import sys
from collections import defaultdict
from inspect import signature
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from grpo_job.engines.patches.unsloth_loss import LOG_PROBABILITIES, log_entropy, score_by_tokens


class Loss:
    """The loss by its one method; returns what it is given."""

    @staticmethod
    def apply(*arguments: Any) -> Any:
        return arguments


def trainer_of(namespace: dict[str, Any], ranks: int = 1, gathered: Any = None) -> Any:
    def compute_loss() -> None: ...

    methods = {"compute_loss": FunctionType(compute_loss.__code__, namespace)}
    trainer: Any = type("Trainer", (), methods)()
    trainer._metrics = {"train": defaultdict(list)}
    trainer.accelerator = SimpleNamespace(num_processes=ranks, device="cpu", gather=gathered)
    trainer.logged = []
    trainer.log = lambda logs, *_: trainer.logged.append((logs, list(trainer._metrics["train"]["entropy"])))
    return trainer


def test_the_entropy_is_the_mean_of_what_the_drawn_tokens_were_unlikely() -> None:
    namespace: dict[str, Any] = {"grpo_compute_loss": None, "UnslothEfficientGRPO": Loss}
    trainer = trainer_of(namespace)
    log_entropy(trainer)
    new, mask = torch.tensor([[-1.0, -3.0], [-2.0, -50.0]], requires_grad=True), torch.tensor([[1, 1], [1, 0]])
    given = (new, None, None, None, "head", "ids", mask, "advantages", 0.0)
    assert namespace["UnslothEfficientGRPO"].apply(*given) == given
    assert trainer._metrics["train"]["entropy"] == [2.0]


def test_the_entropy_of_several_ranks_is_the_mean_of_theirs_however_many_pieces_each_has() -> None:
    namespace: dict[str, Any] = {"grpo_compute_loss": None, "UnslothEfficientGRPO": Loss}
    trainer = trainer_of(namespace, 2, lambda own: torch.stack([own, torch.tensor(4.0)]))
    log_entropy(trainer)
    trainer._metrics["train"]["entropy"] += [1.0, 3.0]
    trainer.log({"loss": 0.5}, None)
    trainer.log({"train_runtime": 9.0})
    assert trainer.logged == [({"loss": 0.5}, [3.0]), ({"train_runtime": 9.0}, [3.0])]


def test_another_trainer_is_refused() -> None:
    with pytest.raises(RuntimeError, match="was not patched"):
        log_entropy(trainer_of({}))


def chunks_of(hidden: Any, lm_head: Any, index: torch.Tensor, chunks: int = 4, temperature: float = 1.0) -> Any:
    """Unsloth's function; returns into how many chunks it cuts the tokens, and a further argument."""
    return chunks, temperature


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`unsloth_zoo.rl_replacements`."""
    parent, module = ModuleType("unsloth_zoo"), ModuleType("unsloth_zoo.rl_replacements")
    for name in LOG_PROBABILITIES:
        setattr(module, name, chunks_of)
    parent.rl_replacements = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unsloth_zoo", parent)
    monkeypatch.setitem(sys.modules, "unsloth_zoo.rl_replacements", module)
    return module


@pytest.mark.parametrize("name", LOG_PROBABILITIES)
@pytest.mark.parametrize(("rows", "tokens", "chunks", "fewer"), [
    (128, 12, 128, 3), (128, 512, 128, 128), (128, 700, 128, 128), (1, 3, 1, 1), (64, 512, 128, 64), (64, 100, 128, 13),
])  # fmt: skip
def test_log_probabilities_have_as_few_chunks_as_tokens_need_and_never_more_than_unsloths(
    zoo: Any, name: str, rows: int, tokens: int, chunks: int, fewer: int
) -> None:
    score_by_tokens(512)
    score, index = getattr(zoo, name), torch.zeros(rows, tokens)
    assert score("hidden", "head", index, chunks, 0.7) == (fewer, 0.7)
    assert score("hidden", "head", index, chunks=chunks, temperature=0.7) == (fewer, 0.7)
    assert "temperature" in signature(score).parameters
