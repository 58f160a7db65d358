"""Micro-batches of short rows that became one: as few as fit, with the same gradient and the same metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trl.trainer.utils

from grpo_job.engines.trainer import merging
from grpo_job.engines.trainer.lengths import Batch, Length
from grpo_job.engines.trainer.memory_dry_run import dry_run
from grpo_job.engines.trainer.merging import Room, grouped, merged, room
from grpo_job.engines.trainer.micro_batches import fitted
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.settings.schema import Settings
from tests.engines.option_effects import Counts, engine, settings_of
from tests.engines.trainer.test_lengths import SETTINGS, Generation, Precise, in_64_bits, rows_of
from tests.engines.trainer.test_memory_dry_run import plan_on

# One optimizer step of four micro-batches learns from a generation.
FOUR = {**SETTINGS, "GRPO_GRADIENT_ACCUMULATION_STEPS": "4", "GRPO_MAX_STEPS": "2"}


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generation]:
    with pytest.MonkeyPatch.context() as patch:
        yield Generation(tmp_path_factory.mktemp("run"), patch, FOUR)


def merged_in(generation: Generation, room: Room) -> list[Batch]:
    generation.trainer.room = room
    try:
        return fitted(generation.trainer, generation.split)
    finally:
        generation.trainer.room = None


def sizes(batches: Sequence[Batch]) -> list[int]:
    return [len(batch["completion_ids"]) if batch else 0 for batch in batches]


def for_twelve(generation: Generation) -> Room:
    """Of the longest prompt and the longest completion: three of four micro-batches."""
    return Room(12, Length(*(generation.split[0][f"{part}_ids"].shape[1] for part in ("prompt", "completion"))))


def test_rows_share_a_micro_batch_and_the_first_ones_are_empty(generation: Generation) -> None:
    found = merged_in(generation, for_twelve(generation))
    assert sizes(found) == [0, 0, 12, 4]
    assert rows_of([batch for batch in found if batch]) == rows_of(generation.split)


@pytest.mark.parametrize("loss", ["dapo", "cispo", "vespo"])
@pytest.mark.parametrize("room", [None, Room(16, Length(999, 999))], ids=["some", "all"])
def test_the_gradient_of_a_step_is_the_same(
    loss: str, room: Room | None, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation.trainer, "loss_type", loss)
    whole = generation.gradient(generation.split)
    found = generation.gradient(merged_in(generation, room or for_twelve(generation)))
    assert (found - whole).norm() < 1e-9 * whole.norm()


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "luspo", "sapo"])
def test_rows_stay_apart_where_their_micro_batch_divides(
    loss: str, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation.trainer, "loss_type", loss)
    assert sizes(merged_in(generation, Room(16, Length(999, 999)))) == [4, 4, 4, 4]


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_means_are_those_of_all_rows_or_tokens(
    level: str, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation.trainer, "importance_sampling_level", level)
    expected = generation.metrics(merged_in(generation, Room(16, Length(999, 999))))
    found = generation.metrics(merged_in(generation, for_twelve(generation)))
    for name in ("entropy", "kl", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"):
        assert found[name] == pytest.approx(expected[name], rel=1e-6), name
    assert expected["clip_ratio/region_mean"] > 0


def test_a_run_learns_the_same_as_one_whose_micro_batches_stay_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned(name: str, room: Room | None) -> torch.Tensor:
        made: PlainTrl = engine(tmp_path / name, settings_of({**FOUR, "GRPO_LEARNING_RATE": "1e-3"}))
        monkeypatch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", Precise)
        in_64_bits(made.model)
        made.trainer.room = room
        made.train(Counts())
        return torch.cat([weight.flatten() for key, weight in made.model.named_parameters() if "lora_B" in key])

    apart, found = learned("apart", None), learned("merged", Room(16, Length(999, 999)))
    assert apart.norm() > 0
    assert (found - apart).norm() < 1e-6 * apart.norm()


def test_ranks_join_what_fits_the_longest_rows_of_any(generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    def another_rank_has_long_rows_in_the_third(found: torch.Tensor, _: object) -> None:
        found[2] = 999

    monkeypatch.setattr(merging, "all_reduce", another_rank_has_long_rows_in_the_third)
    monkeypatch.setattr(type(generation.trainer.accelerator), "num_processes", 2)
    parts = generation.split
    monkeypatch.setattr(generation.trainer, "room", Room(8, Length(500, 500)))
    assert sizes(merged(generation.trainer, parts)) == [0, 8, 4, 4]


def test_memory_is_planned_for_as_many_of_the_longest_rows() -> None:
    settings = Settings(max_completion_length=200)
    planned = replace(plan_on(30), training_graphs=False)
    assert room(planned, settings) == Room(planned.micro_batch_size, Length(planned.row_tokens - 200, 200))
    assert room(replace(planned, training_graphs=True), settings) is None


def test_what_is_rehearsed_has_the_rows_that_are_planned(generation: Generation) -> None:
    [whole] = [batch for batch in merged_in(generation, Room(16, Length(999, 999))) if batch]
    seen = []

    def loss(inputs: Batch) -> torch.Tensor:
        seen.append({name: inputs[name].shape for name in ("prompt_ids", "completion_ids")})
        return torch.zeros((), requires_grad=True)

    dry_run(generation.trainer, loss, whole, (50, 60))
    assert seen == [{"prompt_ids": (4, 50), "completion_ids": (4, 60)}]


def test_logits_count_as_much_as_all_tokens() -> None:
    room = Room(4, Length(100, 100))
    assert grouped([Length(10, 60)] * 2, 4, room) == [range(0, 1), range(1, 2)]
    assert grouped([Length(10, 50)] * 2, 4, room) == [range(0, 2)]


def test_without_a_plan_nothing_is_merged(generation: Generation) -> None:
    assert merged(generation.trainer, generation.split) == generation.split
