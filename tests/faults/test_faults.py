"""A sample of each fault campaign, with fixed seeds; `make campaign PART=...` runs them in full."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json
from tests.faults import boundaries, cuts, damages, disks, mirrors, outages, races, runs, signals, small_files
from tests.faults.hooks import HangAfterStep, SignalAfterStep, WithoutReport
from tests.servers.hub import HubServer

pytestmark = pytest.mark.slow
Trials = Callable[[Path, int, int], Iterator[tuple[str, str]]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.undisturbed(tmp_path_factory.mktemp("undisturbed") / "outputs")


@pytest.mark.parametrize(
    ("trials", "count", "seed"),
    [
        pytest.param(partial(signals.trials, [signal.SIGTERM, signal.SIGKILL]), 4, 11, id="signals"),
        pytest.param(boundaries.trials, 3, 13, id="boundaries"),
        pytest.param(damages.trials, 2, 14, id="damages"),
        pytest.param(cuts.trials, 2, 15, id="cuts"),
        pytest.param(races.trials, 2, 16, id="races"),
        pytest.param(races.takeovers, 1, 19, id="takeovers"),
        pytest.param(mirrors.trials, 2, 17, id="mirrors"),
        pytest.param(small_files.trials, 6, 20, id="damage"),
        pytest.param(outages.trials, 4, 20, id="outages"),
        pytest.param(
            disks.trials, 3, 18, id="disks",
            marks=pytest.mark.skipif(not disks.can_mount(), reason="needs the right to mount"),
        ),
    ],
)  # fmt: skip
def test_a_run_that_is_disturbed_ends_as_one_that_was_left_alone(
    trials: Trials, count: int, seed: int, undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "undisturbed").symlink_to(undisturbed)
    outcomes = list(trials(tmp_path, count, seed))
    assert len(outcomes) == count
    assert [(what, wrong) for what, wrong in outcomes if wrong] == []


def test_ten_interruptions_in_one_run_change_nothing(tmp_path: Path) -> None:
    settings = {"GRPO_MAX_STEPS": "24"}
    runs.finish(tmp_path / "whole", settings, hooks=[WithoutReport()])
    cut = tmp_path / "cut"
    for step in range(1, 20, 2):  # each comes while its step is logged, and is obeyed behind the next
        assert runs.finish(cut, settings, hooks=[SignalAfterStep(step), WithoutReport()]) == 75
    assert runs.finish(cut, settings, hooks=[WithoutReport()]) == 0
    assert runs.difference(runs.result(tmp_path / "whole"), runs.result(cut)) == ""


def test_evaluations_change_nothing_in_the_training(tmp_path: Path) -> None:
    for name, rows in (("few", "2"), ("many", "7")):
        assert runs.finish(tmp_path / name, {"GRPO_EVAL_ROWS": rows}, hooks=[WithoutReport()]) == 0
    few, many = (runs.result(tmp_path / name) for name in ("few", "many"))
    assert few["adapter"] == many["adapter"]
    assert few["metrics"] == many["metrics"]


def test_a_finished_run_is_left_untouched(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / runs.RUN_ID).rglob("*")}
    assert runs.finish(undisturbed) == 0
    assert {path: path.stat().st_mtime_ns for path in (undisturbed / runs.RUN_ID).rglob("*")} == before


def test_a_finished_run_that_is_given_more_steps_goes_on_and_is_measured_anew(tmp_path: Path) -> None:
    """As one that was interrupted where the first ended: the schedule is that of the longer run."""
    constant = {"GRPO_LR_SCHEDULER_TYPE": "constant"}
    longer = {**constant, "GRPO_MAX_STEPS": "10"}
    runs.finish(tmp_path / "whole", longer, hooks=[WithoutReport()])
    extended = tmp_path / "extended"
    assert runs.finish(extended, constant, hooks=[WithoutReport()]) == 0
    assert runs.finish(extended, longer, hooks=[WithoutReport()]) == 0
    assert runs.difference(runs.result(tmp_path / "whole"), runs.result(extended)) == ""
    found = read_json(extended / runs.RUN_ID / "summary.json")
    assert found["steps"] == {"done": 10, "planned": 10, "lost_to_resume": 0}
    assert found["adapter"]["sha256"] == runs.result(extended)["adapter"]
    fewer = runs.start(extended, constant, hooks=[WithoutReport()])
    assert fewer.wait() == 2
    assert "GRPO_MAX_STEPS asks for 6 steps, but that run has already done 10" in fewer.said()
    assert runs.finish(extended, longer) == 0
    assert read_json(extended / runs.RUN_ID / "summary.json") == found


def test_a_holder_at_the_hub_keeps_its_run_between_two_checkpoints(tmp_path: Path) -> None:
    with HubServer() as hub:
        settings = {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": hub.token("alice"),
            "GRPO_CHECKPOINT_TO": "hf://alice/kept",
            "GRPO_LEASE_SECONDS": "6",
            "GRPO_MAX_STEPS": "2000",
            "GRPO_SAVE_STEPS": "2000",
        }
        holder = runs.start(tmp_path / "one", settings, hooks=[WithoutReport()])
        holder.wait_until(lambda: '"step": 1,' in holder.said())
        patient = {**settings, "GRPO_LEASE_SECONDS": "60"}
        contender = runs.start(tmp_path / "two", patient, hooks=[WithoutReport()])
        assert contender.wait() == 5, contender.said()
        assert "works on this run" in contender.said()
        assert holder.signal(signal.SIGTERM)
        assert holder.wait() == 75
        titles = [commit.title for commit in hub.repos["model", "alice/kept"].history("run-run")]
    assert sum("step-" in title for title in titles) == 1  # that of the signal


def test_a_run_that_hangs_ends_with_1_and_the_stacks_and_resumes(undisturbed: Path, tmp_path: Path) -> None:
    hung = runs.start(tmp_path / "hung", hooks=[HangAfterStep(4), WithoutReport()])
    assert hung.wait() == 1
    assert "grpo-job: the stacks of all threads:" in hung.said()
    assert "hooks.py" in hung.said()
    reason = read_json(tmp_path / "hung" / runs.RUN_ID / "summary.json")["ending"]["reason"]
    assert reason.startswith("no progress for ")
    assert runs.finish(tmp_path / "hung", hooks=[WithoutReport()]) == 0
    assert runs.difference(runs.result(undisturbed), runs.result(tmp_path / "hung")) == ""
