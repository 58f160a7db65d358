"""`grpo-job init` writes a file that GRPO_CONFIG reads as what was given; `grpo-job schema` describes such files."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import json_schema, starter_file
from grpo_job.settings.reader import assigned, resolve
from grpo_job.settings.schema import known_names

GIVEN = (
    "model=me/x", "dataset=my rows.jsonl", "rewards=correct:2,./r.py::brief:0.5", "publish-to=hf://me/x,file:///a b",
    "max-steps=7", "learning_rate=1e-4", "example=off", "run_id=007", "epsilon_high=0.28", "load_in_4bit=true",
)  # fmt: skip
SUFFIXES = (".env", ".yaml", ".yml", ".toml")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_given_is_read_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"job{suffix}"
    told = starter_file.write(path, resolve({}, assigned(GIVEN)))
    assert told == [f"{path} is written. Next:", *(f"  GRPO_CONFIG={path} grpo-job {do}" for do in ("check", "run"))]
    read = resolve({"GRPO_CONFIG": str(path)}).settings
    assert read.changing_result() == resolve({}, assigned(GIVEN)).settings.changing_result()
    assert read.publish_to == ("hf://me/x", "file:///a b")


def test_the_commands_to_go_on_with_are_quoted_for_a_shell(tmp_path: Path) -> None:
    told = starter_file.write(tmp_path / "it's a job.env", resolve({}))
    assert [shlex.split(line) for line in told[1:]] == [
        [f"GRPO_CONFIG={tmp_path}/it's a job.env", "grpo-job", do] for do in ("check", "run")
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_line_that_is_a_comment_can_be_set(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"job{suffix}"
    starter_file.write(path, resolve({}))
    assert resolve({"GRPO_CONFIG": str(path)}).settings.changing_result() == resolve({}).settings.changing_result()
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.removeprefix("#") for line in lines if not line.startswith("# ")))
    settings = resolve({"GRPO_CONFIG": str(path)}).settings
    assert (settings.publish_to, settings.max_hours) == (("hf://your-name/your-model",), 6.0)


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "grpo.env"
    path.write_text("mine")
    with pytest.raises(InvalidRun, match="the file is there already and is kept; allowed: another name"):
        starter_file.write(path, resolve({}))
    assert path.read_text() == "mine"


def test_another_kind_of_file_and_a_place_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"allowed: a name with \.env, \.yaml, \.yml, \.toml"):
        starter_file.write(tmp_path / "job.json", resolve({}))
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRun, match="cannot be written"):
        starter_file.write(tmp_path / "file" / "grpo.env", resolve({}))


def test_a_value_of_several_lines_needs_another_kind(tmp_path: Path) -> None:
    said = resolve({}, {"system_prompt": "one\ntwo"})
    with pytest.raises(InvalidRun, match=r"allowed: a \.yaml file"):
        starter_file.write(tmp_path / "grpo.env", said)
    assert not (tmp_path / "grpo.env").exists()
    starter_file.write(tmp_path / "job.yaml", said)
    assert resolve({"GRPO_CONFIG": str(tmp_path / "job.yaml")}).settings.system_prompt == "one\ntwo"


def test_the_schema_names_every_setting_with_its_meaning_and_default() -> None:
    found = json.loads(json_schema.text())
    assert set(found["properties"]) == set(known_names()) - {"config"}
    for name, described in found["properties"].items():
        assert "allowed: " in described["description"], name
        assert "default" in described, name
        assert "changes_result" not in described


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("max_steps", {"type": "integer", "minimum": -1}),
        ("health", {"enum": ["stop", "warn", "off"], "type": "string"}),
        ("load_in_4bit", {"anyOf": [{"type": "boolean"}, {"const": "auto", "type": "string"}]}),
        ("max_hours", {"anyOf": [{"exclusiveMinimum": 0, "type": "number"}, {"type": "null"}, {"const": "none"}]}),
        ("publish_to", {"anyOf": [{"items": {"type": "string"}, "type": "array"}, {"type": "string"}]}),
        ("epsilon_high", {"anyOf": [{"exclusiveMinimum": 0, "type": "number"}, {"type": "null"}, {"const": "none"}]}),
    ],
)
def test_the_schema_says_what_a_value_may_be(name: str, kinds: dict[str, Any]) -> None:
    found = json_schema.schema()["properties"][name]
    assert {key: value for key, value in found.items() if key not in ("description", "default")} == kinds
