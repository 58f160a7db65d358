"""Names of other programs are refused with the setting to use instead."""

import re

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.other_names import _LISTED, INSTEAD
from grpo_job.settings.reader import assigned, resolve
from grpo_job.settings.schema import known_names
from grpo_job.settings.trl_options import OWNED

TRIED = {
    "GRPO_LR": "GRPO_LEARNING_RATE", "GRPO_EPOCHS": "GRPO_NUM_TRAIN_EPOCHS",
    "GRPO_BATCH_SIZE": "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE", "GRPO_RANDOM_SEED": "GRPO_SEED",
    "GRPO_MODEL_NAME": "GRPO_MODEL", "GRPO_SAMPLING_TEMPERATURE": "GRPO_TEMPERATURE",
    "GRPO_MAX_NEW_TOKENS": "GRPO_MAX_COMPLETION_LENGTH", "GRPO_ROLLOUT_N": "GRPO_NUM_GENERATIONS",
    "GRPO_R": "GRPO_LORA_RANK", "GRPO_KL_LOSS_COEF": "GRPO_BETA", "GRPO_HF_TOKEN": "HF_TOKEN or HF_TOKEN_PATH",
    "GRPO_ACTOR_OPTIM_LR": "GRPO_LEARNING_RATE", "GRPO_TRAINER_TOTAL_EPOCHS": "GRPO_NUM_TRAIN_EPOCHS",
    "GRPO_NUM_EPOCH": "GRPO_NUM_TRAIN_EPOCHS", "GRPO_BATCH_SIZES": "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE",
    "GRPO_TRAINING_SAVE_STEPS": "GRPO_SAVE_STEPS", "GRPO_UNSLOTH_MAX_LORA_RANK": "GRPO_LORA_RANK",
}  # fmt: skip


@pytest.mark.parametrize(("name", "right"), TRIED.items())
def test_a_name_that_people_try_is_refused_with_the_right_one(name: str, right: str) -> None:
    with pytest.raises(InvalidRun) as refusal:
        resolve({name: "1"})
    assert f"{name}: " in str(refusal.value)
    assert f"no setting has this name; use instead: {right}" in str(refusal.value)


def test_a_token_under_a_wrong_name_is_not_printed() -> None:
    with pytest.raises(InvalidRun) as refusal:
        resolve({"GRPO_HF_TOKEN": "abcdef"})
    assert "abcdef" not in str(refusal.value)


def test_what_the_table_names_is_there_and_what_it_refuses_is_not() -> None:
    wrong = {right for right in _LISTED if re.fullmatch("[a-z0-9_]+", right)} - set(known_names())
    assert wrong == set()
    assert set(INSTEAD) & {*known_names(), *OWNED} == set()


def test_no_name_is_listed_twice() -> None:
    listed = [name for names in _LISTED.values() for name in names.split()]
    assert sorted(listed) == sorted(set(listed))


def test_no_setting_is_taken_for_another_one() -> None:
    assert resolve({"GRPO_LORA_SEED": "7"}).settings.lora_seed == 7


@pytest.mark.parametrize(
    "spelling", ["max-steps=3", "MAX-STEPS=3", "GRPO-MAX-STEPS=3", "grpo_max_steps=3", " max_steps =3"]
)
def test_a_name_on_the_command_line_may_have_dashes(spelling: str) -> None:
    assert assigned([spelling]) == {"max_steps": "3"}
