"""What an environment becomes: settings with an origin each, or a refusal."""

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve
from grpo_job.settings.redaction.redactor import REDACTOR


def refusal(environment: dict[str, str], command_line: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidRun) as caught:
        resolve(environment, command_line)
    return str(caught.value)


def test_a_wrong_value_hides_no_conflict_between_others_and_invents_none() -> None:
    both = refusal({"GRPO_LEARNING_RATE": "x", "GRPO_MAX_COMPLETION_LENGTH": "900"})
    assert both.count("\n") == 1
    only = refusal({"GRPO_GENERATION_BATCH_SIZE": "eight", "GRPO_NUM_GENERATIONS": "8"})
    assert only.count("\n") == 0


def test_an_unknown_recipe_is_the_only_fault_of_settings_that_would_fit_the_right_one() -> None:
    fault = refusal({"GRPO_RECIPE": "smok", "GRPO_NUM_GENERATIONS": "8", "GRPO_MAX_COMPLETION_LENGTH": "900"})
    assert fault.count("\n") == 0


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("GRPO_HUB_TOKEN", "hf_abcdefghijklmnop"),
        ("GRPO_HF_TOKEN", "anything"),
        ("GRPO_AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
        ("GRPO_MODEL_REVISIONS", "hf_abcdefghijklmnop"),
        ("GRPO_PUBLISH_TO", "s3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI@bucket/prefix"),
        ("GRPO_REPORT_TO", "https://user:wJalrXUtnFEMI@wandb"),
    ],
)
def test_a_secret_is_refused_without_being_printed(name: str, secret: str) -> None:
    said = refusal({name: secret})
    assert f"{name}: a value (not shown) was given" in said
    assert secret not in said
    assert "wJalr" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRPO_SYSTEM_PROMPT", "use wJalr/XUtn+FE to log in"),
        ("GRPO_SAMPLE_PROMPTS", "wJalr%2fXUtn%2BFE?"),
        ("GRPO_DATASET", "https://user:long-password@host/rows.jsonl"),
        ("GRPO_REWARD_OPTIONS", '{"judge": {"url": "http://user:long-password@host/v1", "model": "m"}}'),
    ],
)
def test_a_secret_in_a_valid_setting_is_refused_before_training(name: str, value: str) -> None:
    said = rf"{name}: a value \(not shown\) was given; a setting must not hold a secret"
    with pytest.raises(InvalidRun, match=said):
        resolve({"AWS_SECRET_ACCESS_KEY": "wJalr/XUtn+FE", name: value})


def test_resolving_takes_no_secret_in_and_forgets_none() -> None:
    REDACTOR.know(["word-of-the-run"])
    with pytest.raises(InvalidRun, match="a setting must not hold a secret"):
        resolve({"HF_TOKEN": "word-of-another"}, {"dataset": "word-of-another"})
    assert REDACTOR.text("word-of-the-run word-of-another") == "[secret] word-of-another"


def test_a_very_long_value_is_cut_in_the_message() -> None:
    assert len(refusal({"GRPO_RECIPE": "x" * 5000})) < 400


def test_the_command_line_wins_over_the_environment_and_that_over_the_recipe_and_that_over_the_default() -> None:
    settings, origins = resolve({"GRPO_RECIPE": "smoke", "GRPO_MAX_STEPS": "7", "GRPO_SEED": "3"}, {"max_steps": "5"})
    assert (settings.max_steps, origins["max_steps"]) == (5, "command line")
    assert (settings.seed, origins["seed"]) == (3, "environment")
    assert (settings.model, origins["model"]) == ("sample", "recipe smoke")
    assert (settings.temperature, origins["temperature"]) == (1.0, "default")


def test_another_dataset_does_not_inherit_what_belongs_to_the_recipes_dataset() -> None:
    settings, origins = resolve({"GRPO_DATASET": "someone/rows"})
    assert (settings.dataset_config, settings.eval_split, settings.eval_dataset) == (None, None, None)
    assert origins["dataset_config"] == "default"
    assert settings.system_prompt, "the format is asked for on any rows"


def test_other_held_out_rows_do_not_inherit_the_recipes_split_but_the_training_rows_keep_theirs() -> None:
    settings = resolve({"GRPO_EVAL_DATASET": "someone/rows"}).settings
    assert (settings.eval_split, settings.dataset_config) == (None, "main")
    assert resolve({"GRPO_EVAL_DATASET": "someone/rows", "GRPO_EVAL_SPLIT": "dev"}).settings.eval_split == "dev"


def test_an_empty_variable_counts_as_not_given_except_for_the_system_prompt() -> None:
    settings, origins = resolve({"GRPO_MAX_STEPS": "", "GRPO_RUN_ID": " ", "GRPO_SYSTEM_PROMPT": ""})
    assert (settings.max_steps, origins["max_steps"]) == (250, "recipe gsm8k")
    assert settings.run_id is None
    assert (settings.system_prompt, origins["system_prompt"]) == ("", "environment")


def test_none_takes_back_what_a_recipe_says() -> None:
    assert resolve({"GRPO_EVAL_SPLIT": "none"}).settings.eval_split is None
    assert resolve({"GRPO_REPORT_TO": "none"}).settings.report_to == ()


def test_space_around_a_value_is_not_part_of_it_but_a_system_prompt_is_kept_as_it_is() -> None:
    settings = resolve({"GRPO_ENGINE": " trl ", "GRPO_SYSTEM_PROMPT": "\nThink.\n"}).settings
    assert (settings.engine, settings.system_prompt) == ("trl", "\nThink.\n")


def test_variables_of_others_are_not_looked_at() -> None:
    assert resolve({"HF_TOKEN": "x", "MAX_STEPS": "y", "GRPOX": "z"}) == resolve({})


def test_values_read_from_text_have_their_types() -> None:
    settings = resolve(
        {
            "GRPO_REWARDS": "correct:2, my.reward:-0.5,tag_count", "GRPO_LOAD_IN_4BIT": "False",
            "GRPO_PUBLISH_TO": "hf://me/model@trial, file:///out", "GRPO_MAX_STEPS": "-1", "GRPO_NUM_TRAIN_EPOCHS": "2",
            "GRPO_LEARNING_RATE": "0", "GRPO_EPSILON_HIGH": "0.28", "GRPO_GENERATION_KWARGS": '{"min_tokens": 4}',
            "GRPO_LOSS_TYPE": "dr_grpo", "GRPO_SHUFFLE_DATASET": "no", "GRPO_VLLM_GPU_MEMORY_UTILIZATION": "0.5",
        }
    ).settings  # fmt: skip
    assert settings.rewards == (("correct", 2.0), ("my.reward", -0.5), ("tag_count", 1.0))
    assert settings.load_in_4bit is False
    assert settings.publish_to == ("hf://me/model@trial", "file:///out")
    assert (settings.max_steps, settings.learning_rate, settings.vllm_gpu_memory_utilization) == (-1, 0.0, 0.5)
    assert settings.grpo_config == {
        "epsilon_high": 0.28, "generation_kwargs": {"min_tokens": 4}, "loss_type": "dr_grpo", "shuffle_dataset": False,
    }  # fmt: skip
