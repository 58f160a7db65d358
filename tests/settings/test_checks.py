"""The arithmetic between settings, and the sentences that say it."""

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.checks import CHECKS, conflicts
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings


def test_settings_that_go_together_have_no_conflict() -> None:
    assert conflicts(Settings()) == []


@pytest.mark.parametrize(
    "given",
    [
        {"num_generations": 4, "per_device_train_batch_size": 4},
        {"num_generations": 8, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        {"num_generations": 8, "per_device_train_batch_size": 1, "steps_per_generation": 8},
        {"num_generations": 8, "generation_batch_size": 256},
        {"gradient_accumulation_steps": 4, "steps_per_generation": 2, "num_iterations": 2},
        {"max_prompt_length": 824, "max_completion_length": 200, "max_seq_length": 1024},
        {"warmup_steps": 249, "max_steps": 250},
        {"warmup_steps": 0.99, "max_steps": 1},
        {"warmup_steps": 500, "max_steps": -1, "num_train_epochs": 3},
    ],
)
def test_arithmetic_that_comes_out_even_is_accepted(given: dict[str, int]) -> None:
    assert conflicts(Settings(**given)) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"shard_base": True, "load_in_4bit": True},
            "GRPO_SHARD_BASE=true conflicts with GRPO_LOAD_IN_4BIT=true: only 16-bit weights can be sharded; "
            "allowed: one of them, the other auto or false",
        ),
        (
            {"num_generations": 3},
            "GRPO_NUM_GENERATIONS=3 must divide the generation batch of 128 completions "
            "(GRPO_PER_DEVICE_TRAIN_BATCH_SIZE=128 × 1 micro-step from GRPO_GRADIENT_ACCUMULATION_STEPS); "
            "allowed: a generation batch of 3, 6, 9, ...",
        ),
        (
            {"num_generations": 5, "per_device_train_batch_size": 2, "steps_per_generation": 3},
            "GRPO_NUM_GENERATIONS=5 must divide the generation batch of 6 completions "
            "(GRPO_PER_DEVICE_TRAIN_BATCH_SIZE=2 × 3 micro-steps from GRPO_STEPS_PER_GENERATION); "
            "allowed: a generation batch of 5, 10, 15, ...",
        ),
        (
            {"num_generations": 8, "generation_batch_size": 12, "per_device_train_batch_size": 4},
            "GRPO_NUM_GENERATIONS=8 must divide the generation batch of 12 completions (GRPO_GENERATION_BATCH_SIZE); "
            "allowed: a generation batch of 8, 16, 24, ...",
        ),
        (
            {"generation_batch_size": 12, "per_device_train_batch_size": 8, "num_generations": 2},
            "GRPO_GENERATION_BATCH_SIZE=12 must be a multiple of GRPO_PER_DEVICE_TRAIN_BATCH_SIZE=8; "
            "allowed: 8, 16, 24, ...",
        ),
        (
            {"gradient_accumulation_steps": 3, "steps_per_generation": 2, "num_iterations": 2},
            "GRPO_GRADIENT_ACCUMULATION_STEPS=3 must divide the 4 micro-steps per generation (2, from "
            "GRPO_STEPS_PER_GENERATION or GRPO_GENERATION_BATCH_SIZE, × GRPO_NUM_ITERATIONS=2): "
            "an optimizer step would mix two generations; allowed: a multiple of 3 micro-steps",
        ),
        (
            {"max_prompt_length": 900},
            "GRPO_MAX_PROMPT_LENGTH=900 + GRPO_MAX_COMPLETION_LENGTH=512 = 1412 tokens, more than "
            "GRPO_MAX_SEQ_LENGTH=1024; allowed: a sum of at most GRPO_MAX_SEQ_LENGTH",
        ),
        (
            {"warmup_steps": 20, "max_steps": 20},
            "GRPO_WARMUP_STEPS=20 is not less than GRPO_MAX_STEPS=20: the learning rate would never reach its peak; "
            "allowed: fewer warmup steps, or a share below 1",
        ),
    ],
)  # fmt: skip
def test_a_conflict_is_told_with_its_arithmetic(given: dict[str, int], sentence: str) -> None:
    assert conflicts(Settings(**given)) == [sentence]


def test_several_conflicts_are_all_told() -> None:
    assert len(conflicts(Settings(num_generations=3, max_prompt_length=1000, warmup_steps=300))) == 3


def test_nothing_is_computed_from_a_field_that_was_given_wrongly() -> None:
    wrong = Settings(num_generations=3, max_prompt_length=1000)
    assert len(conflicts(wrong, unknown={"num_generations"})) == 1
    assert conflicts(wrong, unknown={"per_device_train_batch_size", "max_seq_length"}) == []


def test_each_check_names_fields_that_exist() -> None:
    from grpo_job.settings.schema import known_names

    assert set().union(*CHECKS.values()) <= set(known_names())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"stop_strings": ["</answer>"]}', "the key 'stop_strings' was given; allowed: allowed_token_ids, frequency_"),
        ('{"top_k": 4}', "the key 'top_k' was given; use instead: GRPO_TOP_K"),
        ('{"max_new_tokens": 4}', "the key 'max_new_tokens' was given; use instead: GRPO_MAX_COMPLETION_LENGTH"),
    ],
)
def test_a_key_of_generation_that_no_engine_honours_is_refused(given: str, said: str) -> None:
    with pytest.raises(InvalidRun, match=said):
        resolve({"GRPO_GENERATION_KWARGS": given})
