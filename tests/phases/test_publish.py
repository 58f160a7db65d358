"""A destination that fails at the end of a run: how long it is tried, and the command that publishes later."""

import shlex
from pathlib import Path

import pytest

from grpo_job.phases import publish
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings.reader import resolve


@pytest.mark.parametrize(
    ("given", "kept", "seconds"),
    [({}, True, publish.KEPT_SECONDS), ({}, False, publish.LOST_SECONDS), ({"GRPO_PUBLISH_SECONDS": "7"}, False, 7)],
)
def test_a_long_outage_is_waited_out_only_for_what_goes_with_the_container(
    given: dict[str, str], kept: bool, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "outlives_container", lambda path: kept)
    assert publish._patience(resolve(given).settings, RunFolder(tmp_path)) == seconds


def test_the_command_that_publishes_later_is_quoted_for_a_shell(tmp_path: Path) -> None:
    settings = resolve({"GRPO_PUBLISH_TO": "file:///my models/a,hf://me/x"}).settings
    said = publish._to_finish(RunFolder(tmp_path / "my runs"), settings).removeprefix("to finish: ")
    words = ["grpo-job", "publish", f"{tmp_path}/my runs", "--to", "file:///my models/a", "--to", "hf://me/x"]
    assert shlex.split(said) == words
