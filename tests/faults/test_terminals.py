"""Whole runs whose terminal closes, whose log has no reader or no room, and whose files may not grow."""

from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json, sha256
from tests.faults import runs
from tests.faults.hooks import FileSizeLimit, PrintsTo, TerminalClosesAfterStep, WithNohup, WithoutReport
from tests.faults.small_files import ADAPTER, SETTINGS


def ending(folder: Path) -> dict[str, object]:
    found: dict[str, object] = read_json(folder / runs.RUN_ID / "summary.json")["ending"]
    return found


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the adapter of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    assert runs.finish(folder, SETTINGS, hooks=[WithoutReport()]) == 0
    return sha256(folder / ADAPTER)


@pytest.mark.parametrize("log_format", ["plain", "rich"])
def test_a_closed_terminal_stops_the_run_with_a_checkpoint_and_it_resumes(
    tmp_path: Path, log_format: str, whole: str
) -> None:
    settings = {**SETTINGS, "GRPO_SAVE_STEPS": "3", "GRPO_LOG_FORMAT": log_format}
    assert runs.finish(tmp_path, settings, hooks=[TerminalClosesAfterStep(1), WithoutReport()]) == 75
    assert "SIGHUP was received" in str(ending(tmp_path)["reason"])
    assert (tmp_path / runs.RUN_ID / "checkpoints" / "step-000002").is_dir()
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport()]) == 0
    assert sha256(tmp_path / ADAPTER) == whole


def test_under_nohup_a_closed_terminal_changes_nothing(tmp_path: Path, whole: str) -> None:
    hooks = [WithNohup(), TerminalClosesAfterStep(1), WithoutReport()]
    assert runs.finish(tmp_path, SETTINGS, hooks=hooks) == 0
    assert sha256(tmp_path / ADAPTER) == whole


@pytest.mark.parametrize("path", ["", "/dev/full"])
def test_a_log_that_nobody_reads_or_that_is_full_changes_nothing(tmp_path: Path, path: str, whole: str) -> None:
    assert runs.finish(tmp_path, SETTINGS, hooks=[PrintsTo(path), WithoutReport()]) == 0
    assert sha256(tmp_path / ADAPTER) == whole


def test_under_a_limit_on_the_size_of_files_the_limit_is_named(tmp_path: Path) -> None:
    attempt = runs.start(tmp_path, SETTINGS, hooks=[FileSizeLimit(100_000), WithoutReport()])
    assert attempt.wait() == 1
    assert "raise it (`ulimit -f unlimited`)" in str(ending(tmp_path)["reason"])
