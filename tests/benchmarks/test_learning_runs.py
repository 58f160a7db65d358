"""One run of the learning benchmark: what its process is told."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.learning import runs
from grpo_job.settings.reader import resolve


def told(run: runs.Run, tmp_path: Path) -> dict[str, str]:
    return runs.environment(run, runs.Place(model="sample", out=tmp_path))


def test_a_runs_own_settings_override_its_recipe(tmp_path: Path) -> None:
    run = runs.Run(name="fast", recipe="smoke", yardstick="words", seed=7, settings={"GRPO_LEARNING_RATE": "0.5"})
    settings = resolve(told(run, tmp_path)).settings
    assert (settings.learning_rate, settings.num_generations, settings.seed, settings.eval_rows) == (0.5, 8, 7, 500)
    assert settings.run_id == "fast-words-7"


def test_a_recipe_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"GRPO_RECIPE": "smoke", "GRPO_LORA_RANK": "3"}')
    settings = resolve(told(runs.Run(name="mine", recipe=str(tmp_path / "mine.json")), tmp_path)).settings
    assert (settings.recipe, settings.lora_rank) == ("smoke", 3)


def test_the_tutorial_trains_with_its_own_values(tmp_path: Path) -> None:
    settings = resolve(told(runs.Run(name="tutorial", contestant="tutorial"), tmp_path)).settings
    assert (settings.recipe, settings.learning_rate, settings.lora_rank) == ("tutorial", 5e-6, 8)


def test_this_job_decides_on_an_example_and_plain_trl_is_given_one(tmp_path: Path) -> None:
    job = resolve(told(runs.Run(name="gsm8k"), tmp_path)).settings
    trl = resolve(told(runs.Run(name="trl", contestant="trl"), tmp_path)).settings
    assert job.example == "auto"
    assert trl.example == "off"
    assert "For example" in trl.system_prompt


def test_a_misspelt_field_of_a_sweep_is_refused() -> None:
    with pytest.raises(ValidationError, match="yardstik"):
        runs.expand({"runs": [{"name": "a", "yardstik": "words"}]})


def test_settings_of_a_run_are_added_to_the_defaults() -> None:
    (run,) = runs.expand(
        {"defaults": {"settings": {"A": "1", "B": "1"}}, "runs": [{"name": "a", "settings": {"B": "2"}}]}
    )
    assert run.settings == {"A": "1", "B": "2"}
