"""A run is named by its settings and its training rows."""

from pathlib import Path

import pytest

from grpo_job.phases.name import name_run
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.inputs.row_files import jsonl, problems


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    jsonl(tmp_path / "rows" / "train.jsonl", problems(20))
    jsonl(tmp_path / "rows" / "test.jsonl", problems(5, first=50))
    given = {"RECIPE": "smoke", "DATASET": str(tmp_path / "rows"), "OUTPUT_DIR": str(tmp_path), "REPORT_TO": "trackio"}
    return resolve({f"GRPO_{name}": value for name, value in given.items()}).settings


def test_edited_training_rows_are_another_run_and_other_held_out_rows_are_not(settings: Settings) -> None:
    folder = Path(settings.dataset)
    first = name_run(settings, {}).settings.name_of_run()
    jsonl(folder / "test.jsonl", problems(5, first=80))
    assert name_run(settings, {}).settings.name_of_run() == first
    jsonl(folder / "train.jsonl", problems(20, first=1))
    assert name_run(settings, {}).settings.name_of_run() != first


def test_a_name_that_was_given_stays(settings: Settings) -> None:
    named = name_run(settings.model_copy(update={"run_id": "mine"}), {})
    assert named.settings.name_of_run() == "mine"
    assert named.rows is not None
    assert len(named.rows.train) == 20


def test_rows_that_cannot_be_read_leave_the_name_to_the_settings_and_the_reason_to_the_checks(
    settings: Settings,
) -> None:
    (Path(settings.dataset) / "train.jsonl").write_text("{")
    named = name_run(settings, {})
    assert named.rows is None
    assert named.settings.name_of_run() == settings.name_of_run()


def test_trackers_write_below_the_named_run_unless_the_user_said_where(settings: Settings) -> None:
    environment: dict[str, str] = {}
    named = name_run(settings, environment)
    assert environment["TRACKIO_DIR"] == str(named.settings.folder_of_run / "trackers" / "trackio")
    environment = {"TRACKIO_DIR": "/mine"}
    name_run(settings, environment)
    assert environment == {"TRACKIO_DIR": "/mine"}
