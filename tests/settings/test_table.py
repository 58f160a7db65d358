"""The table that `grpo-job check` prints."""

import pytest

from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings, known_names, variable
from grpo_job.settings.table import as_text, lines, value_of
from grpo_job.settings.trl_options import OWNED

ENVIRONMENT = {
    "GRPO_RECIPE": "smoke", "GRPO_EPSILON_HIGH": "0.28", "GRPO_PUBLISH_TO": "file:///a,s3://bucket/b",
    "GRPO_GENERATION_KWARGS": '{"min_tokens": 4}', "GRPO_SHUFFLE_DATASET": "false", "GRPO_STANDBY": "false",
}  # fmt: skip


def test_every_setting_stands_in_the_table_once_with_origin_and_value() -> None:
    rows = [line.split(maxsplit=1) for line in lines(resolve(ENVIRONMENT)) if line.startswith(" ")]
    assert sorted(name for name, _ in rows) == sorted(map(variable, known_names()))
    assert not {name.removeprefix("GRPO_").lower() for name, _ in rows} & set(OWNED)


def test_what_was_chosen_stands_first_by_precedence() -> None:
    table = list(lines(resolve(ENVIRONMENT, {"seed": "7"})))
    assert table[0] == "Chosen:"
    assert table[1].split() == ["GRPO_SEED", "command", "line", "7"]
    assert table[2].split()[1] == "environment"
    chosen = table[1 : table.index("Defaults:")]
    assert [line for line in chosen if "  default  " in line] == []


def test_columns_stand_under_each_other_and_no_value_breaks_the_line() -> None:
    table = list(lines(resolve({"GRPO_SYSTEM_PROMPT": "one\ntwo\x1b[31m"})))
    chosen = table[1 : table.index("Defaults:")]
    assert len({line.index(line.split()[1]) for line in chosen}) == 1
    assert any('"one\\ntwo\\u001b[31m"' in line for line in chosen)
    assert not any("\n" in line for line in table)


@pytest.mark.parametrize("name", [name for name in known_names() if name != "recipe"])
def test_a_printed_value_given_as_a_variable_gives_the_same_value(name: str) -> None:
    first = resolve(ENVIRONMENT)
    again = resolve({**ENVIRONMENT, variable(name): as_text(value_of(first, name))}) if name in own() else first
    assert value_of(again, name) == value_of(first, name)


def own() -> set[str]:
    """Settings whose printed value is what one would write; a length given twice would be a conflict."""
    return set(Settings.model_fields) - {"num_train_epochs", "system_prompt", "grpo_config"}
