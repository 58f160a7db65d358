"""A tracker sees one run, whatever happened to its attempts."""

from pathlib import Path
from typing import Any

import pytest

from grpo_job import trackers
from grpo_job.run_folder import read_jsonl
from grpo_job.settings import Settings
from grpo_job.settings_reader import resolve
from grpo_job.trackers import TrackerRun, Trackers
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep

SUMMARY = {
    "steps": {"done": 3},
    "accuracy": {"before": 0.25, "after": 0.5, "p_value": 0.01},
    "format": {"before": 1.0, "after": None},
}


def run_in(folder: Path, resumed_from: int = 0) -> TrackerRun:
    return TrackerRun("smoke", "0123456789ab", folder, {"max_steps": 3, "rewards": [["correct", 2.0]]}, resumed_from)


def complain(text: str) -> None:
    raise AssertionError(text)


def tensorboard_scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, round(event.value, 6)) for event in events.Scalars(tag)]


def mlflow_scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Of the only run that there is."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "grpo-job"]
    (run,) = client.search_runs([experiment.experiment_id])
    return [(point.step, round(point.value, 6)) for point in client.get_metric_history(run.info.run_id, tag)]


SCALARS = {"tensorboard": tensorboard_scalars, "mlflow": mlflow_scalars}


@pytest.fixture(params=SCALARS)
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip(request.param)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return str(request.param)


@pytest.mark.slow
def test_steps_that_are_done_again_are_there_once(tracker: str, tmp_path: Path) -> None:
    first = Trackers([tracker], run_in(tmp_path), complain)
    for step in (1, 2, 3):
        first.log(step, {"loss": float(step), "name": "text", "kl": float("nan")})
    first._each(lambda one: one.close())
    again = Trackers([tracker], run_in(tmp_path, resumed_from=1), complain)
    for step in (2, 3):
        again.log(step, {"loss": float(step)})
    report = tmp_path / "report.html"
    report.write_text("a page")
    again.close(SUMMARY, report)
    assert SCALARS[tracker](tmp_path, "loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert SCALARS[tracker](tmp_path, "final/accuracy_after") == [(3, 0.5)]
    assert SCALARS[tracker](tmp_path, "final/accuracy_before") == [(3, 0.25)]


@pytest.mark.slow
def test_a_tracker_receives_one_continuous_run_across_an_interruption(tracker: str, tmp_path: Path) -> None:
    settings = {"GRPO_REPORT_TO": tracker, "GRPO_EVAL_STEPS": "2"}
    assert runs.finish(tmp_path, settings, hooks=[SignalAfterStep(3, 9)]) == -9  # after the checkpoint of step 2
    assert runs.finish(tmp_path, settings) == 0
    run = tmp_path / runs.RUN_ID
    metrics = read_jsonl(run / "metrics.jsonl")
    for tag in ("reward", "eval_accuracy"):
        expected = [(row["step"], round(row[tag], 6)) for row in metrics if tag in row]
        assert SCALARS[tracker](run / "trackers", tag) == expected, tag
    assert [step for step, _ in SCALARS[tracker](run / "trackers", "reward")] == [1, 2, 3, 4, 5, 6]
    assert len(SCALARS[tracker](run / "trackers", "final/accuracy_after")) == 1


def test_another_machine_finds_the_run_by_what_its_checkpoint_remembers(tmp_path: Path) -> None:
    first = trackers.identity(tmp_path / "a", None)
    assert trackers.identity(tmp_path / "a", "other") == first
    assert trackers.identity(tmp_path / "b", first) == first
    assert trackers.identity(tmp_path / "c", None) != first


def test_a_tracker_that_fails_is_told_of_once_and_training_goes_on(tmp_path: Path) -> None:
    class Broken:
        def log(self, *_: Any) -> None:
            raise ConnectionError("no route")

    told: list[str] = []
    found = Trackers([], run_in(tmp_path), told.append)
    found.open["wandb"] = Broken()  # type: ignore[assignment]
    found.log(1, {"loss": 1.0})
    found.log(2, {"loss": 1.0})
    assert told == ["GRPO_REPORT_TO: wandb gets nothing more from this attempt: ConnectionError: no route"]


def test_a_tracker_without_its_package_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "wandb" else object())
    assert trackers.missing(("tensorboard",)) == []
    assert trackers.missing(("tensorboard", "wandb")) == [
        "GRPO_REPORT_TO: 'wandb' was given; its package is not installed: pip install wandb"
    ]


def test_every_tracker_that_can_be_asked_for_is_known() -> None:
    every = resolve({"GRPO_REPORT_TO": ",".join(trackers.PACKAGES)}).settings.report_to
    assert set(every) == set(trackers.PACKAGES)
    assert Settings().report_to == ()


def test_what_is_not_sent_elsewhere_stays_in_the_run_folder(tmp_path: Path) -> None:
    assert trackers.variables(("wandb", "trackio"), tmp_path) == {
        "WANDB_DIR": str(tmp_path),
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }
    assert trackers.variables(("tensorboard", "mlflow"), tmp_path) == {}
