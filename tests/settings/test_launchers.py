"""What launchers leave around variables is repaired and told, or refused by name."""

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.launchers import tidied, unusable
from grpo_job.settings.reader import resolve

TOKEN = "hf_abcdefghijkl"


@pytest.mark.parametrize(
    "given", [f"{TOKEN}\r", f" {TOKEN}", f"{TOKEN}\n", f"\ufeff{TOKEN}", f"\u200b{TOKEN}\t", f"{TOKEN} \r\n"]
)
@pytest.mark.parametrize("name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "HF_ENDPOINT", "AWS_PROFILE"])
def test_white_space_around_a_value_of_a_library_is_removed(name: str, given: str) -> None:
    assert tidied({name: given}) == ({name: TOKEN}, [], [])


@pytest.mark.parametrize("given", [f'"{TOKEN}"', f"'{TOKEN}'", f'"{TOKEN}"\r', f"“{TOKEN}”", f'" {TOKEN} "'])
def test_quotes_around_a_value_of_a_library_are_removed_and_told_without_the_value(given: str) -> None:
    found = tidied({"HF_TOKEN": given})
    assert found.environment == {"HF_TOKEN": TOKEN}
    assert found.warnings == ["HF_TOKEN: the quotes around its value were removed: remove them where it is set"]


@pytest.mark.parametrize(
    "given",
    ["hf_abc def", "hf_abc\r\nhf_def", "hf_аbc", "hf_abc\x00", "$HF_TOKEN", "${TOKEN}", "{{ t }}", '"hf_abc'],
)
def test_a_key_that_no_header_can_hold_is_refused_without_its_value(given: str) -> None:
    [fault] = tidied({"HF_TOKEN": given}).faults
    assert fault.startswith("HF_TOKEN: its value (not shown) ")
    assert fault.endswith("; copy the key itself again")
    assert "hf_a" not in fault


@pytest.mark.parametrize("value", ["", " ", "\r", '""', "''"])
@pytest.mark.parametrize("name", ["HF_TOKEN", "HF_ENDPOINT", "HF_HOME", "AWS_PROFILE", "AWS_DEFAULT_REGION", "HOME"])
def test_an_empty_variable_of_a_library_is_unset(name: str, value: str) -> None:
    assert tidied({name: value}).environment == {}


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "http_proxy", "NO_PROXY"])
def test_an_empty_variable_that_means_something_is_kept(name: str) -> None:
    assert tidied({name: ""}) == ({name: ""}, [], [])


def test_text_that_a_locale_of_ascii_made_unreadable_is_read_as_utf_8() -> None:
    as_read = "é日".encode().decode("ascii", "surrogateescape")
    assert tidied({"GRPO_SYSTEM_PROMPT": as_read, "HF_HOME": as_read}).environment == {
        "GRPO_SYSTEM_PROMPT": "é日",
        "HF_HOME": "é日",
    }


@pytest.mark.parametrize("name", ["HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_DATASETS_IN_MEMORY_MAX_SIZE"])
def test_a_number_that_a_library_parses_on_import_is_refused_if_it_is_none(name: str) -> None:
    assert tidied({name: "abc"}).faults == [f"{name}: 'abc' was given; allowed: a number"]
    assert tidied({name: " 10 "}) == ({name: "10"}, [], [])


def test_passwords_keep_their_spaces_and_quotes() -> None:
    assert tidied({"MLFLOW_TRACKING_PASSWORD": '"a b" \r\n'}) == ({"MLFLOW_TRACKING_PASSWORD": '"a b" '}, [], [])


@pytest.mark.parametrize(
    "name",
    [
        "export GRPO_MAX_STEPS", "\ufeffGRPO_MAX_STEPS", "grpo_max_steps", "Grpo_Max_Steps", "GRPO-MAX-STEPS",
        "GRPO.MAX.STEPS", " GRPO_MAX_STEPS", "GRPO_MAX_STEPS ", "GRPO_MAX_STEPS\r", "'GRPO_MAX_STEPS",
        "set GRPO_MAX_STEPS", "\ufeffexport grpo_max_steps", "- GRPO_MAX_STEPS", '"GRPO_MAX_STEPS"',
    ],
)  # fmt: skip
def test_a_name_that_is_nearly_a_setting_is_refused_with_the_right_one(name: str) -> None:
    found = tidied({name: "3"})
    assert found.faults == [f"{name!r} is set, but no setting is read from this name; write GRPO_MAX_STEPS"]


@pytest.mark.parametrize("name", ["export HF_TOKEN", "hf_token", "\ufeffHF_TOKEN", "Hf_Token", "export hf_token"])
def test_a_name_that_is_nearly_a_librarys_is_told_unless_the_right_one_is_set(name: str) -> None:
    assert tidied({name: "x"}).warnings == [f"{name!r} is set, but nothing reads this name: write HF_TOKEN"]
    assert tidied({name: "x", "HF_TOKEN": TOKEN}).warnings == []


def test_other_variables_are_left_alone() -> None:
    others = {"PATH": "/bin:", "PS1": '"$ "', "LANG": "", "https_proxy": "http://proxy:1", "npm_config_x": " "}
    assert tidied(others) == (others, [], [])


def test_what_kubernetes_sets_for_services_is_ignored_and_told() -> None:
    links = {
        "GRPO_SERVICE_HOST": "10.0.0.1", "GRPO_SERVICE_PORT": "80", "GRPO_PORT": "tcp://10.0.0.1:80",
        "GRPO_PORT_80_TCP": "tcp://10.0.0.1:80", "GRPO_PORT_80_TCP_ADDR": "10.0.0.1", "GRPO_METRICS_SERVICE_HOST": "x",
        "GRPO_METRICS_PORT": "tcp://10.0.0.2:9400", "GRPO_METRICS_SERVICE_PORT_HTTP": "9400",
    }  # fmt: skip
    found = tidied({**links, "GRPO_MAX_STEPS": "3"})
    assert found.environment == {"GRPO_MAX_STEPS": "3"}
    assert len(found.warnings) == 1
    assert "enableServiceLinks: false" in found.warnings[0]
    own = {"GRPO_METRICS_SERVICE_HOST": "x", "GRPO_METRICS_PORT": "9400"}
    assert tidied(own).environment == {"GRPO_METRICS_PORT": "9400"}


@pytest.mark.parametrize("name", ["GRPO_MODEL", "GRPO_MAX_STEPS", "GRPO_OUTPUT_DIR", "GRPO_REWARD_OPTIONS"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ('"3"', "it has a quote around it"),
        ("'3", "it has a quote around it"),
        ("3”", "it has a quote around it"),
        ("3\u200b4", "it holds the invisible character U+200B"),
        ("3\r4", "it holds the invisible character U+000D"),
        ("\ufeff3", "it holds the invisible character U+FEFF"),
        ("a\udce9", "it holds bytes that are not UTF-8"),
        ("${STEPS}", "${STEPS} was not replaced by its value"),
        ("/data/$(STEPS)", "$(STEPS) was not replaced by its value"),
    ],
)
def test_what_a_launcher_left_in_the_value_of_a_setting_is_refused_by_name(name: str, value: str, why: str) -> None:
    with pytest.raises(InvalidRun) as refused:
        resolve({name: value})
    [fault] = refused.value.faults
    assert fault.startswith(f"{name}: ")
    assert why in fault
    fault.encode()


def test_prose_keeps_its_quotes_and_loses_only_a_last_carriage_return() -> None:
    settings = resolve({"GRPO_SYSTEM_PROMPT": '"Use tags."\r', "GRPO_SAMPLE_PROMPTS": '"Why?"'}).settings
    assert (settings.system_prompt, settings.sample_prompts) == ('"Use tags."', '"Why?"')
    assert unusable("a\udce9", is_prose=True)


def test_quotes_around_prose_are_told() -> None:
    quoted = {"GRPO_SYSTEM_PROMPT": '"Use tags."', "GRPO_EXAMPLE": "'auto'", "GRPO_SAMPLE_PROMPTS": 'Say "yes"'}
    found = tidied(quoted)
    assert found.environment == quoted
    assert [warning.split(":")[0] for warning in found.warnings] == ["GRPO_SYSTEM_PROMPT", "GRPO_EXAMPLE"]
