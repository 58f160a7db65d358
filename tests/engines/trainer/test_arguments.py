"""Settings become GRPOConfig's arguments without loss and without surprise."""

from types import SimpleNamespace

import pytest

from grpo_job.engines.trainer.arguments import grpo_arguments, on_cpu, reads_log_probs
from grpo_job.settings.global_batch import planned_steps, steps_per_buffer
from grpo_job.settings.reader import resolve
from grpo_job.settings.trl_options import options


def arguments(**variables: str) -> dict[str, object]:
    settings = resolve({f"GRPO_{name}": value for name, value in variables.items()}).settings
    return grpo_arguments(settings, {"hidden_size": 2048}, steps=planned_steps(settings, 100), reward_weights=[1.0])


def test_every_argument_is_an_option_of_the_locked_trl() -> None:
    assert set(on_cpu(arguments())) <= set(options())


@pytest.mark.parametrize(
    ("given", "rate"), [({}, 8.4e-5), ({"LEARNING_RATE": "3e-5"}, 3e-5), ({"LEARNING_RATE": "0"}, 0.0)]
)
def test_the_learning_rate_is_the_given_one_or_that_of_the_models_size(given: dict[str, str], rate: float) -> None:
    assert arguments(**given)["learning_rate"] == rate


def test_a_further_option_reaches_the_trainer_typed() -> None:
    assert arguments(EPSILON_HIGH="0.28")["epsilon_high"] == 0.28
    assert arguments(LOSS_TYPE="dr_grpo")["loss_type"] == "dr_grpo"


def test_checkpoints_are_left_to_the_job() -> None:
    assert arguments(SAVE_STEPS="7")["save_strategy"] == "no"


def test_a_cpu_gets_no_half_precision_and_no_8_bit_optimizer() -> None:
    changed = on_cpu(arguments(OPTIM="adamw_8bit"))
    assert (changed["bf16"], changed["optim"], changed["use_cpu"]) == (False, "adamw_torch", True)


def test_epochs_become_steps() -> None:
    settings = resolve({"GRPO_MAX_STEPS": "-1", "GRPO_NUM_TRAIN_EPOCHS": "2"}).settings
    assert planned_steps(settings, 160) == 20  # 16 prompts a step: 128 completions, 8 of a prompt


def test_a_buffer_feeds_as_many_steps_as_its_micro_steps_allow() -> None:
    def buffer(**variables: str) -> int:
        return steps_per_buffer(resolve({f"GRPO_{name}": value for name, value in variables.items()}).settings)

    assert buffer() == 1
    assert buffer(STEPS_PER_GENERATION="4") == 4
    assert buffer(STEPS_PER_GENERATION="4", NUM_ITERATIONS="2") == 8
    assert buffer(GRADIENT_ACCUMULATION_STEPS="2") == 1


def test_a_key_of_generation_reaches_transformers_under_its_name() -> None:
    assert on_cpu(arguments(GENERATION_KWARGS='{"min_tokens": 3}'))["generation_kwargs"] == {"min_new_tokens": 3}


@pytest.mark.parametrize(
    ("correction", "threshold", "read"), [(False, None, False), (True, None, True), (False, 0.0, True)]
)
def test_log_probabilities_are_read_for_the_correction_and_for_the_mask(
    correction: bool, threshold: float | None, read: bool
) -> None:
    args = SimpleNamespace(vllm_importance_sampling_correction=correction, off_policy_mask_threshold=threshold)
    assert reads_log_probs(args) is read


def test_bnpo_is_normalized_over_the_step_on_every_engine() -> None:
    assert arguments(LOSS_TYPE="bnpo")["loss_type"] == "dapo"


def test_without_a_setting_no_engine_corrects_by_importance_sampling() -> None:
    assert arguments()["vllm_importance_sampling_correction"] is False
    assert arguments(VLLM_IMPORTANCE_SAMPLING_CORRECTION="true")["vllm_importance_sampling_correction"] is True


def test_token_ids_of_a_logit_bias_are_numbers() -> None:
    assert arguments(GENERATION_KWARGS='{"logit_bias": {"7": 2}}')["generation_kwargs"] == {"logit_bias": {7: 2.0}}


def test_a_number_of_the_schedule_that_yaml_reads_as_a_text_reaches_the_trainer_as_a_number() -> None:
    given = '{"min_lr": "1e-6"}'
    assert arguments(LR_SCHEDULER_TYPE="cosine_with_min_lr", LR_SCHEDULER_KWARGS=given)["lr_scheduler_kwargs"] == {
        "min_lr": 1e-6
    }
