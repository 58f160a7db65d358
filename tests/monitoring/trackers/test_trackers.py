"""A tracker sees one run, whatever happened to its attempts."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from grpo_job.monitoring import trackers
from grpo_job.monitoring.trackers import TrackerRun, Trackers
from grpo_job.run_folder.files import read_jsonl
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.faults import runs
from tests.monitoring.trackers.readers import SCALARS

SUMMARY = {
    "steps": {"done": 3},
    "accuracy": {"before": 0.25, "after": 0.5, "p_value": 0.01},
    "format": {"before": 1.0, "after": None},
}
DONE = [{"step": step, "loss": float(step)} for step in (1, 2, 3)]
# The attempts of one tracker run, each in a process of its own, as trackers keep much in theirs.
ATTEMPT = """
import sys
from pathlib import Path
from grpo_job.monitoring.trackers import Trackers
from tests.monitoring.trackers.test_trackers import DONE, SUMMARY, complain, run_in
name, folder, resumed_from, last, ends = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
trackers = Trackers(complain)
trackers.start([name], run_in(folder, resumed_from), DONE[:resumed_from])
for row in DONE[resumed_from:last]:
    trackers.log(row["step"], {"loss": row["loss"], "name": "text", "kl": float("nan")})
if ends == "concluded":
    trackers.conclude(SUMMARY, folder / "report.html")
if ends != "killed":
    trackers.close()
"""


def run_in(folder: Path, resumed_from: int = 0) -> TrackerRun:
    return TrackerRun("smoke", "0123456789ab", folder, {"max_steps": 3, "rewards": [["correct", 2.0]]}, resumed_from)


def complain(text: str) -> None:
    raise AssertionError(text)


def attempt(tracker: str, folder: Path, *, resumed_from: int = 0, last: int = 3, ends: str = "closed") -> None:
    """One process: it resumes after a step, goes on to another, and ends closed, killed or concluded."""
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text("a page")
    told = {
        "PYTHONPATH": str(runs.ROOT), "WANDB_MODE": "offline", "WANDB_DIR": str(folder),
        "TRACKIO_DIR": str(folder / "trackio"),
    }  # fmt: skip
    code = ATTEMPT + "import os; os._exit(0)"  # as the door ends: nobody is asked to tidy up
    command = [sys.executable, "-c", code, tracker, str(folder), str(resumed_from), str(last), ends]
    subprocess.run(command, env={**os.environ, **told}, cwd=folder, check=True)


@pytest.fixture(params=SCALARS)
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip(request.param)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return str(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["closed", "killed"])
def test_each_step_is_there_once_however_the_attempt_before_ended(ends: str, tracker: str, tmp_path: Path) -> None:
    """Steps 2 and 3 are done again; step 1, behind the checkpoint, is not, and may not be missing."""
    attempt(tracker, tmp_path, ends=ends)
    attempt(tracker, tmp_path, resumed_from=1, ends="concluded")
    assert SCALARS[tracker](tmp_path, "loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert SCALARS[tracker](tmp_path, "final/accuracy_after") == [(3, 0.5)]
    assert SCALARS[tracker](tmp_path, "final/accuracy_before") == [(3, 0.25)]


@pytest.mark.slow
def test_a_machine_that_has_nothing_of_the_run_is_told_the_steps_before(tracker: str, tmp_path: Path) -> None:
    attempt(tracker, tmp_path / "other", resumed_from=2)
    assert SCALARS[tracker](tmp_path / "other", "loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]


@pytest.mark.slow
def test_an_attempt_that_never_saved_leaves_no_step_twice(tracker: str, tmp_path: Path) -> None:
    attempt(tracker, tmp_path, last=2)
    attempt(tracker, tmp_path)
    assert SCALARS[tracker](tmp_path, "loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]


@pytest.fixture(scope="module")
def terminated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that every tracker which is installed was told of, across a SIGTERM."""
    installed = [name for name in SCALARS if find_spec(name)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return interrupted(installed, tmp_path_factory.mktemp("terminated"), signal.SIGTERM, code=75)


@pytest.mark.slow
def test_a_tracker_receives_one_continuous_run_across_a_sigterm(tracker: str, terminated: Path) -> None:
    assert_continuous(tracker, terminated)


@pytest.mark.slow
def test_a_tracker_that_loses_what_it_holds_back_receives_one_continuous_run_across_a_sigkill(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    assert_continuous("wandb", interrupted(["wandb"], tmp_path, signal.SIGKILL, code=-signal.SIGKILL))


def interrupted(names: list[str], folder: Path, number: int, *, code: int) -> Path:
    """A run through the container's door, for a tracker must find its variables when it is imported."""
    settings = {
        "GRPO_REPORT_TO": ",".join(names), "GRPO_EVAL_STEPS": "2", "GRPO_MAX_STEPS": "8", "WANDB_MODE": "offline",
    }  # fmt: skip
    run = folder / runs.RUN_ID
    first = runs.start_cold(folder, settings)
    assert first.wait_until(lambda: len(read_jsonl(run / "metrics.jsonl")) >= 3), first.said()
    first.signal(number)
    assert first.wait() == code, first.said()
    again = runs.start_cold(folder, settings)
    assert again.wait() == 0, again.said()
    assert "GRPO_REPORT_TO" not in first.said() + again.said()
    return run


def assert_continuous(tracker: str, run: Path) -> None:
    metrics = read_jsonl(run / "metrics.jsonl")
    for tag in ("reward", "eval_accuracy"):
        expected = [(row["step"], round(row[tag], 6)) for row in metrics if tag in row]
        assert SCALARS[tracker](run / "trackers", tag) == expected, tag
    assert [step for step, _ in SCALARS[tracker](run / "trackers", "reward")] == list(range(1, 9))
    assert [step for step, _ in SCALARS[tracker](run / "trackers", "final/accuracy_after")] == [8]


def test_another_machine_finds_the_run_by_what_its_checkpoint_remembers(tmp_path: Path) -> None:
    first = trackers.identity(tmp_path / "a", None)
    assert trackers.identity(tmp_path / "a", "other") == first
    assert trackers.identity(tmp_path / "b", first) == first
    assert trackers.identity(tmp_path / "c", None) != first


def test_a_tracker_that_fails_is_told_of_once_and_training_goes_on(tmp_path: Path) -> None:
    class Broken:
        done = -1

        def log(self, *_: Any) -> None:
            raise ConnectionError("no route")

    told: list[str] = []
    found = Trackers(told.append)
    found.open["wandb"] = Broken()  # type: ignore[assignment]
    found.log(1, {"loss": 1.0})
    found.log(2, {"loss": 1.0})
    assert told == ["GRPO_REPORT_TO: wandb disabled for the rest of this attempt: ConnectionError: no route"]


def test_a_tracker_without_its_package_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "wandb" else object())
    assert trackers.faults(("tensorboard",), {}) == []
    assert trackers.faults(("tensorboard", "wandb"), {"WANDB_MODE": "offline"}) == [
        "GRPO_REPORT_TO: 'wandb' was given; its package is not installed: pip install wandb"
    ]


def test_every_tracker_that_can_be_asked_for_is_known() -> None:
    names = ("wandb", "tensorboard", "mlflow", "trackio")
    assert resolve({"GRPO_REPORT_TO": ",".join(names)}).settings.report_to == names
    assert Settings().report_to == ()


def test_what_is_not_sent_elsewhere_stays_in_the_run_folder(tmp_path: Path) -> None:
    assert trackers.variables(("wandb", "trackio"), tmp_path) == {
        "WANDB_DIR": str(tmp_path),
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }
    assert trackers.variables(("tensorboard", "mlflow"), tmp_path) == {}
