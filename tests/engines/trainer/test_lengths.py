"""Dealt by length and cut, an optimizer step has the same rows, the same gradient and the same means of its metrics."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import trl.trainer.utils
from torch.nn.functional import rms_norm

from grpo_job.engines.trainer import trainer as job_trainer
from grpo_job.engines.trainer.lengths import Batch, Length, cut, lengths, order_of
from grpo_job.engines.trainer.micro_batches import SHARE, fitted
from grpo_job.engines.trl_cpu import PlainTrl
from tests.engines.gradients import stir
from tests.engines.option_effects import Counts, engine, settings_of

LOSSES = ("grpo", "dapo", "dr_grpo", "cispo", "sapo", "luspo", "vespo")
SUMS_OVER_ROWS = {"loss_type": "dapo", "entropy_coef": 0.0, "top_entropy_quantile": 1.0}
# Two optimizer steps of two micro-batches learn from a generation, twice.
SETTINGS = {
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4", "GRPO_GRADIENT_ACCUMULATION_STEPS": "2", "GRPO_STEPS_PER_GENERATION": "4",
    "GRPO_NUM_ITERATIONS": "2", "GRPO_MAX_STEPS": "4", "GRPO_BETA": "0.1", "GRPO_MAX_COMPLETION_LENGTH": "24",
    "GRPO_MAX_GRAD_NORM": "0",
}  # fmt: skip
FAR = 5  # times as far as `stir` moves the policy: ratios are clipped


class Precise:
    """Log-probabilities of TRL's kernel in 64 bits."""

    @staticmethod
    def apply(hidden: Any, weight: Any, bias: Any, targets: Any, temperature: float, *_: Any, **__: Any) -> Any:
        logs = (hidden @ weight.T / temperature).log_softmax(-1)
        return logs.gather(-1, targets.unsqueeze(-1)).squeeze(-1), -(logs.exp() * logs).sum(-1), None, None, None


def in_64_bits(model: Any) -> None:
    """The sample's layers, of which two kinds compute in 32 bits whatever their weights are."""
    model.double()
    for module in model.modules():
        if hasattr(module, "variance_epsilon"):
            module.forward = lambda x, of=module: rms_norm(x, x.shape[-1:], of.weight, of.variance_epsilon)
        if hasattr(module, "inv_freq"):
            module.forward = lambda x, position_ids, of=module: rotated(position_ids.double(), of.inv_freq)


def rotated(places: torch.Tensor, frequencies: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    angles = (places.unsqueeze(-1) * frequencies).repeat(1, 1, 2)
    return angles.cos(), angles.sin()


class Generation:
    """One generation as TRL splits it, and as it is dealt; the policy has moved on since."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
        self.trainer = trainer = engine(folder, settings_of(settings)).trainer
        patch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", Precise)
        in_64_bits(trainer.model)
        trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        rows = [trainer.train_dataset[row] for row in [*trainer._get_train_sampler()][:16]]
        rows = [{**row, "prompt": longer(row["prompt"], number // 4)} for number, row in enumerate(rows)]
        with patch.context() as undealt:
            undealt.setattr(job_trainer, "fitted", lambda _, batches: batches)
            trainer._prepare_inputs(rows)
        self.split = trainer._buffered_inputs
        self.dealt = fitted(trainer, self.split)
        stir(trainer.model)
        for name, weight in trainer.model.named_parameters():
            weight.data.mul_(FAR if "lora_B" in name else 1)

    def gradient(self, batches: Sequence[Batch]) -> torch.Tensor:
        """The sum of what each micro-batch gives to the LoRA."""
        self.trainer.model.zero_grad()
        for batch in batches:
            self.trainer.compute_loss(self.trainer.model, batch).backward()
        return torch.cat([one.grad.flatten() for one in self.trainer.model.parameters() if one.grad is not None])

    def metrics(self, batches: Sequence[Batch]) -> dict[str, float]:
        """The means that TRL logs of an optimizer step."""
        told = self.trainer._metrics["train"]
        told.clear()
        self.gradient(batches)
        return {name: sum(values) / len(values) for name, values in told.items()}


def longer(prompt: list[dict[str, str]], times: int) -> list[dict[str, str]]:
    return [{**prompt[0], "content": "Tell me. " * times + prompt[0]["content"]}]


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generation]:
    with pytest.MonkeyPatch.context() as patch:
        yield Generation(tmp_path_factory.mktemp("run"), patch, SETTINGS)


def step(batches: Sequence[Batch], number: int) -> Sequence[Batch]:
    return batches[2 * number : 2 * number + 2]


def rows_of(batches: Sequence[Batch]) -> list[tuple[float, ...]]:
    """What identifies each row: its advantage and its tokens without padding."""
    return sorted(
        (float(batch["advantages"][row]), *batch["completion_ids"][row][batch["completion_mask"][row].bool()].tolist())
        for batch in batches
        for row in range(len(batch["advantages"]))
    )


def tokens(batches: Sequence[Batch]) -> int:
    return sum(batch[name].numel() for batch in batches for name in ("prompt_ids", "completion_ids"))


def test_each_optimizer_step_keeps_its_rows_and_has_less_padding(generation: Generation) -> None:
    for number in (0, 1):
        assert rows_of(step(generation.dealt, number)) == rows_of(step(generation.split, number))
    assert rows_of(generation.dealt[:1]) != rows_of(generation.split[:1])
    assert tokens(generation.dealt) < 0.9 * tokens(generation.split)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_of_an_optimizer_step_is_the_same(
    loss: str, level: str, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation.trainer, "loss_type", loss)
    monkeypatch.setattr(generation.trainer, "importance_sampling_level", level)
    for number in (0, 1):
        undealt = generation.gradient(step(generation.split, number))
        difference = generation.gradient(step(generation.dealt, number)) - undealt
        assert difference.norm() < 1e-9 * undealt.norm()


def test_the_gradients_of_a_micro_batch_alone_are_others(generation: Generation) -> None:
    undealt = generation.gradient(generation.split[:1])
    assert (generation.gradient(generation.dealt[:1]) - undealt).norm() > 0.01 * undealt.norm()


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_means_over_tokens_are_those_of_the_whole_step(
    level: str, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation.trainer, "importance_sampling_level", level)
    first, second = generation.split[:2]
    both = {name: torch.cat([value, second[name]]) if value.dim() else value for name, value in first.items()}
    expected = generation.metrics([both])
    found = generation.metrics(generation.dealt[:2])
    for name in ("entropy", "kl", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"):
        assert found[name] == pytest.approx(expected[name], rel=1e-6), name
    assert expected["clip_ratio/region_mean"] > 0


def test_a_run_learns_the_same_as_one_whose_rows_are_not_dealt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learned(name: str) -> torch.Tensor:
        made: PlainTrl = engine(tmp_path / name, settings_of({**SETTINGS, "GRPO_LEARNING_RATE": "1e-3"}))
        monkeypatch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", Precise)
        in_64_bits(made.model)
        made.train(Counts())
        return torch.cat([weight.flatten() for key, weight in made.model.named_parameters() if "lora_B" in key])

    found = learned("dealt")
    monkeypatch.setattr(job_trainer, "fitted", lambda _, batches: list(batches))
    undealt = learned("undealt")
    assert undealt.norm() > 0
    assert (found - undealt).norm() < 1e-6 * undealt.norm()


def rows(*sizes: tuple[int, int], prompts: int, completions: int) -> Batch:
    """Rows of so many tokens, counted from 1 on in each row; padded to these widths with 0."""
    ids = [[*range(1, prompt + completion + 1)] for prompt, completion in sizes]
    batch = {
        "prompt_ids": [[0] * (prompts - p) + one[:p] for one, (p, _) in zip(ids, sizes, strict=True)],
        "prompt_mask": [[0] * (prompts - p) + [1] * p for p, _ in sizes],
        "completion_ids": [one[p:] + [0] * (completions - c) for one, (p, c) in zip(ids, sizes, strict=True)],
        "completion_mask": [[1] * c + [0] * (completions - c) for _, c in sizes],
        "advantages": [float(p * 100 + c) for p, c in sizes],
    }
    return {name: torch.tensor(value) for name, value in batch.items()} | {"num_items_in_batch": torch.tensor(9)}


class Alone:
    """A trainer with what dealing reads of it; `ranks` have the same rows each."""

    def __init__(self, steps: int, accumulation: int, **options: Any) -> None:
        named = {"steps_per_generation": steps, "gradient_accumulation_steps": accumulation}
        self.args = SimpleNamespace(**{**SUMS_OVER_ROWS, **named, **options})
        self.accelerator = SimpleNamespace(reduce=lambda value, reduction: value)
        self.pad_to_multiple_of, self.aux_loss_enabled, self.room = None, False, None


MANY = [(3, 1), (5, 9), (2, 4), (6, 2), (4, 8), (3, 3), (5, 7), (2, 6), (4, 5), (6, 8), (3, 2), (5, 1)]


def split(size: int) -> list[Batch]:
    return [rows(*MANY[at : at + size], prompts=6, completions=9) for at in range(0, len(MANY), size)]


@pytest.mark.parametrize(
    ("steps", "accumulation", "together"), [(6, 6, 6), (6, 2, 2), (6, 12, 6), (6, 4, 2), (6, 1, 1)]
)
def test_rows_change_places_only_within_what_lies_in_one_optimizer_step(
    steps: int, accumulation: int, together: int
) -> None:
    batches = split(2)
    found = fitted(Alone(steps, accumulation), batches)
    for at in range(0, steps, together):
        assert rows_of(found[at : at + together]) == rows_of(batches[at : at + together])
        sizes = [one.completion for batch in found[at : at + together] for one in lengths(batch)]
        assert together == 1 or sizes[0] == max(sizes)


@pytest.mark.parametrize("option", [{"loss_type": "bnpo"}, {"entropy_coef": 0.1}, {"top_entropy_quantile": 0.2}])
def test_rows_stay_where_the_micro_batch_decides_what_a_token_weighs(option: dict[str, Any]) -> None:
    batches = split(2)
    found = fitted(Alone(6, 6, **option), batches)
    assert [rows_of([one]) for one in found] == [rows_of([one]) for one in batches]
    assert found[0]["completion_ids"].shape == (2, 9)
    assert found[1]["completion_ids"].shape == (2, 4)


def test_rows_stay_where_the_experts_of_a_micro_batch_are_balanced() -> None:
    trainer, batches = Alone(6, 6), split(2)
    trainer.aux_loss_enabled = True
    assert [rows_of([one]) for one in fitted(trainer, batches)] == [rows_of([one]) for one in batches]


def test_shares_of_tokens_average_to_one_and_count_those_of_all_ranks() -> None:
    trainer = Alone(6, 6)
    trainer.accelerator.reduce = lambda value, reduction: value + torch.tensor([0, 0, 0, 0, 0, 56])
    found = fitted(trainer, split(2))
    assert sum(batch[SHARE] for batch in found) == pytest.approx(6)
    assert found[-1][SHARE] == pytest.approx(58 * 6 / 112)  # rows of 1 and 1 token here


def test_rows_of_one_length_stay_as_they_are() -> None:
    assert order_of([Length(4, 7)] * 6, parts=3) == [0, 1, 2, 3, 4, 5]


def test_prompts_decide_where_completions_differ_less() -> None:
    assert order_of([Length(10, 3), Length(90, 2), Length(11, 2), Length(80, 3)], parts=2) == [1, 3, 0, 2]


def test_only_columns_that_are_padding_in_every_row_are_cut() -> None:
    batch = rows((3, 2), (2, 4), prompts=6, completions=9) | {
        "ref_per_token_logps": torch.arange(18.0).view(2, 9),
        "importance_sampling_ratio": torch.ones(2, 1),
        "max_left_pad": torch.tensor([[4], [4]]),
        "sampling_per_token_logps": None,
    }
    found = cut(batch)
    assert found["prompt_ids"].tolist() == [[1, 2, 3], [0, 1, 2]]
    assert found["completion_ids"].tolist() == [[4, 5, 0, 0], [3, 4, 5, 6]]
    assert found["ref_per_token_logps"].tolist() == [[0, 1, 2, 3], [9, 10, 11, 12]]
    assert found["importance_sampling_ratio"].shape == (2, 1)
    assert found["max_left_pad"].tolist() == [[4], [4]]
    assert {name: value.shape[1] for name, value in cut(batch, 4).items() if name.endswith("_ids")} == {
        "prompt_ids": 4,
        "completion_ids": 4,
    }


def test_a_micro_batch_without_a_token_to_learn_from_keeps_one_column() -> None:
    assert cut(rows((3, 0), (2, 0), prompts=6, completions=9))["completion_ids"].shape == (2, 1)


def test_the_wider_log_probabilities_of_unsloth_stay_with_their_tokens() -> None:
    shortest = 2  # of the generation: Unsloth's columns begin behind as many tokens of each row
    batch = rows((3, 2), (5, 4), prompts=6, completions=9)
    batch["old_per_token_logps"] = unsloths(batch, 9 + 6 - shortest)
    found = cut(batch)
    assert found["prompt_ids"].shape[1] == 5
    assert found["completion_ids"].shape[1] == 4
    old = found["old_per_token_logps"]
    assert old.shape[1] - 4 == 5 - shortest  # what its loss takes for the longest left padding
    assert old.tolist() == unsloths(found, old.shape[1]).tolist()


def unsloths(batch: Batch, width: int) -> torch.Tensor:
    """Unsloth's columns: padding moved to the right, then so many from the right."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    order = (ids == 0).int().argsort(dim=1, stable=True)
    return ids.gather(1, order)[:, -width:]
