"""One step learns from the same completions at any number of processes."""

import itertools

import pytest

from grpo_job.settings.global_batch import fault, planned_steps, share, steps_per_buffer
from grpo_job.settings.schema import Settings


def sizes(settings: Settings, processes: int) -> tuple[int, int]:
    """Completions of a step and of a generation, of all processes."""
    batch = processes * settings.per_device_train_batch_size
    return batch * settings.gradient_accumulation_steps, batch * settings.generation_micro_steps


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
def test_a_step_and_a_generation_keep_their_completions_in_whole_groups(processes: int) -> None:
    shared_at_all = 0
    for batch, accumulation, micro_steps, group in itertools.product((4, 6, 16), (1, 2, 4), (1, 2, 4), (2, 4)):
        whole = Settings(
            per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation,
            steps_per_generation=micro_steps, num_generations=group,
        )  # fmt: skip
        if (batch * micro_steps) % group or fault(whole, processes):
            continue
        one = share(whole, processes)
        assert sizes(one, processes) == sizes(whole, 1)
        assert one.per_device_train_batch_size * one.generation_micro_steps % group == 0
        assert one.per_device_train_batch_size <= batch
        assert steps_per_buffer(one) == steps_per_buffer(whole)
        shared_at_all += 1
    assert shared_at_all > 5


@pytest.mark.parametrize(
    ("given", "processes", "one"),
    [
        ({"per_device_train_batch_size": 16}, 2, (8, 1, 1)),
        ({"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}, 2, (8, 2, 2)),
        ({"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2}, 4, (8, 1, 1)),
        ({"per_device_train_batch_size": 8, "generation_batch_size": 64}, 2, (4, 1, 8)),
        ({"per_device_train_batch_size": 6, "gradient_accumulation_steps": 2, "num_generations": 2}, 3, (2, 2, 2)),
    ],
)
def test_micro_steps_become_fewer_before_micro_batches_become_smaller(
    given: dict[str, int], processes: int, one: tuple[int, int, int]
) -> None:
    shared = share(Settings(**given), processes)
    found = shared.per_device_train_batch_size, shared.gradient_accumulation_steps, shared.generation_micro_steps
    assert found == one


def test_one_process_keeps_its_settings_as_they_are() -> None:
    settings = Settings(num_generations=3)
    assert fault(settings, 1) is None
    assert share(settings, 1) is settings


@pytest.mark.parametrize(
    ("given", "processes", "sentence"),
    [
        (
            {"per_device_train_batch_size": 4, "num_generations": 4}, 2,
            "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE=4 × 1 (micro-steps per generation) = 4 completions cannot be divided "
            "into whole groups of GRPO_NUM_GENERATIONS=4 for each of 2 processes; allowed: 8, 16, 24, ... completions "
            "per generation, or fewer GRPO_PROCESSES",
        ),
        (
            {"per_device_train_batch_size": 2, "steps_per_generation": 6, "num_generations": 2}, 3,
            "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE=2 × GRPO_GRADIENT_ACCUMULATION_STEPS=1 = 2 completions per step "
            "cannot be divided among 3 processes; allowed: 3, 6, 9, ... completions per step, or fewer GRPO_PROCESSES",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_told_with_its_arithmetic(
    given: dict[str, int], processes: int, sentence: str
) -> None:
    assert fault(Settings(**given), processes) == sentence
    with pytest.raises(ValueError, match="processes"):
        share(Settings(**given), processes)


def test_the_number_of_processes_is_no_part_of_what_a_run_is() -> None:
    assert Settings(processes=4).result_hash() == Settings().result_hash()
    assert planned_steps(Settings(max_steps=-1, num_train_epochs=2), rows=160) == 20
