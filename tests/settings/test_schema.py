"""The settings object: frozen, documented, and hashed by what changes the result."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from grpo_job.run_folder import identity
from grpo_job.settings import named_files
from grpo_job.settings.reader import allowed, resolve
from grpo_job.settings.schema import Settings, known_names, variable
from grpo_job.settings.trl_options import options

OWN_FIELDS = [name for name in Settings.model_fields if name != "grpo_config"]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        resolve({}).settings.max_steps = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_every_setting_says_what_it_means_and_what_is_allowed(name: str) -> None:
    assert Settings.model_fields[name].description
    assert allowed(name)
    assert "NoneType" not in allowed(name)


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_what_may_be_none_says_so(name: str) -> None:
    if Settings.model_fields[name].default is None:
        assert allowed(name).endswith("or none")


def test_every_default_is_itself_allowed() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert Settings(**defaults) == Settings()


def test_a_setting_is_known_once_under_the_rule_for_names() -> None:
    assert len(known_names()) == len(set(known_names()))
    assert variable("max_steps") == "GRPO_MAX_STEPS"


def test_settings_that_grpo_config_has_too_bear_its_name() -> None:
    for name in (
        "num_generations",
        "max_completion_length",
        "save_steps",
        "learning_rate",
        "warmup_steps",
        "report_to",
    ):
        assert name in options()
        assert name in OWN_FIELDS


def test_the_hash_is_the_same_in_every_process() -> None:
    assert resolve({}).settings.result_hash() == resolve({"GRPO_RECIPE": "gsm8k"}).settings.result_hash()
    given = Settings(model="sample", dataset="sample", seed=1)
    again = Settings(seed=1, dataset="sample", model="sample")
    assert given.result_hash() == again.result_hash()


NAMING_A_FILE = [
    {"GRPO_CHAT_TEMPLATE": "{folder}/mine"},
    {"GRPO_REWARDS": "correct:1,{folder}/mine::brief:1"},
    {"GRPO_REWARDS": "mine::brief:1", "GRPO_REWARD_PATH": "{folder}"},
    {"GRPO_REWARDS": "of_the_user.brief:1", "GRPO_REWARD_PATH": "{folder}"},
    {"GRPO_REWARDS": "the_users.own.brief:1", "GRPO_REWARD_PATH": "{folder}"},
    {"GRPO_MEASURE": "{folder}/mine::brief"},
    {"GRPO_REWARD_OPTIONS": '{{"judge": {{"prompt_file": "{folder}/mine"}}}}'},
]


@pytest.mark.parametrize("named", NAMING_A_FILE, ids=str)
def test_an_edited_file_that_is_named_is_another_result_and_another_run(named: dict[str, str], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("mine", "of_the_user.py", "the_users/own/__init__.py")]
    files[-1].parent.mkdir(parents=True)
    found = []
    for text in ("one", "another"):
        for file in files:
            file.write_text(text)
        settings = resolve({name: value.format(folder=tmp_path) for name, value in named.items()}).settings
        found.append((settings.name_of_run(), settings.result_hash(), identity.asked_for(settings, stopped=False)))
        found[-1] += (str(identity.identity(settings)),)
    assert all(first != second for first, second in zip(*found, strict=True))


def test_a_file_that_is_edited_or_removed_later_leaves_the_run_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("one")
    settings = resolve({"GRPO_REWARDS": f"{file}::brief:1"}).settings
    named = settings.model_copy(update={"run_id": settings.name_of_run()})
    first = identity.identity(named)
    file.unlink()
    assert identity.identity(named) == first
    assert identity.identity(named.model_copy(update={"max_steps": 3})) == first
    assert "mine" not in str(resolve({"GRPO_REWARDS": f"{file}::brief:1"}).settings.file_digests)


@pytest.mark.parametrize("file", ["team/mine.py", "team/mine/__init__.py"])
def test_an_edited_module_that_python_finds_by_itself_makes_another_run(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_files, "FOLDERS", (str(tmp_path),))  # as of PYTHONPATH
    (tmp_path / file).parent.mkdir(parents=True)
    digests = []
    for text in ("one", "two"):
        (tmp_path / file).write_text(text)
        digests.append(resolve({"GRPO_REWARDS": "team.mine.brief:1"}).settings.file_digests["reward_files"])
    assert [[*each] for each in digests] == [["team.mine"], ["team.mine"]]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    "environment",
    [
        {"GRPO_SEED": "43"}, {"GRPO_LORA_SEED": "1"}, {"GRPO_MODEL": "other/model"}, {"GRPO_MODEL_REVISION": "abc"},
        {"GRPO_DATASET": "other/rows"}, {"GRPO_REWARDS": "correct:1"}, {"GRPO_LEARNING_RATE": "1e-5"},
        {"GRPO_MAX_STEPS": "251"}, {"GRPO_EPSILON_HIGH": "0.28"}, {"GRPO_LOAD_IN_4BIT": "true"},
        {"GRPO_SYSTEM_PROMPT": ""}, {"GRPO_ENGINE": "trl"}, {"GRPO_TEMPERATURE": "0.9"},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_changes_the_result_gives_another_run(environment: dict[str, str]) -> None:
    assert resolve(environment).settings.name_of_run() != resolve({}).settings.name_of_run()


@pytest.mark.parametrize(
    "environment",
    [
        {"GRPO_OUTPUT_DIR": "/elsewhere"}, {"GRPO_SAVE_STEPS": "5"}, {"GRPO_LOGGING_STEPS": "5"},
        {"GRPO_PUBLISH_TO": "file:///out"}, {"GRPO_LOG_FORMAT": "json"}, {"GRPO_GRACE_SECONDS": "5"},
        {"GRPO_REPORT_TO": "wandb"}, {"GRPO_RESUME": "never"}, {"GRPO_SAVE_TOTAL_LIMIT": "9"},
    ],
    ids=str,
)  # fmt: skip
def test_a_harmless_setting_finds_the_same_run_again(environment: dict[str, str]) -> None:
    assert resolve(environment).settings.name_of_run() == resolve({}).settings.name_of_run()


def test_the_same_value_written_differently_is_the_same_run() -> None:
    one = resolve({"GRPO_LEARNING_RATE": "1e-5", "GRPO_REWARDS": "correct:2.0, tag_count"})
    other = resolve({"GRPO_LEARNING_RATE": "0.00001", "GRPO_REWARDS": "correct:2,tag_count:1"})
    assert one.settings.name_of_run() == other.settings.name_of_run()


def test_a_run_is_named_after_its_recipe_unless_it_is_given_a_name() -> None:
    assert resolve({"GRPO_RECIPE": "smoke"}).settings.name_of_run().startswith("smoke-")
    assert resolve({"GRPO_RUN_ID": "mine"}).settings.name_of_run() == "mine"


@pytest.mark.parametrize(
    ("given", "micro_steps"),
    [
        ({}, 1),
        ({"gradient_accumulation_steps": 4}, 4),
        ({"gradient_accumulation_steps": 4, "steps_per_generation": 8}, 8),
        ({"generation_batch_size": 32, "per_device_train_batch_size": 4}, 8),
    ],
)
def test_a_generation_feeds_as_many_micro_steps_as_trl_would_make(given: dict[str, int], micro_steps: int) -> None:
    assert Settings(**given).generation_micro_steps == micro_steps
