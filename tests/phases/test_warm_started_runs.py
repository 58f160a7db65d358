"""A whole run with a warm start: killed within it, resumed, and told with three bars."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from grpo_job import rewards
from grpo_job.evaluation.measure import RIGHT, Measure
from grpo_job.evaluation.verdict import judge
from grpo_job.inputs import sample
from grpo_job.inputs.dataset import Counts, Rows
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import evaluate, known_answers
from grpo_job.phases.attempt import Attempt
from grpo_job.preflight.rows import solutions
from grpo_job.reports import panels
from grpo_job.reports.run_data import RunData, read
from grpo_job.run_folder.files import read_json, read_jsonl, write_jsonl
from grpo_job.run_folder.summary import closing_lines
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

WARM = {"GRPO_WARM_START_STEPS": "3", "GRPO_WARM_START_LEARNING_RATE": "1e-3", "GRPO_SAVE_STEPS": "1"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert runs.finish(folder, WARM, hooks=[WithoutReport()]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_killed_in_its_warm_start_ends_with_the_bytes_of_a_whole_one_and_three_bars(
    number: int, whole: Path, tmp_path: Path
) -> None:
    assert runs.finish(tmp_path / "cut", WARM, hooks=[SignalAfterStep(2, number), WithoutReport()]) != 0
    assert runs.finish(tmp_path / "cut", WARM) == 0
    assert runs.difference(runs.result(whole), runs.result(tmp_path / "cut")) == ""
    run = tmp_path / "cut" / runs.RUN_ID
    summary, judged = read_json(run / "summary.json"), read_json(run / "evaluation" / "evaluation.json")
    assert summary["steps"] == {"done": 9, "planned": 9, "lost_to_resume": summary["steps"]["lost_to_resume"]}
    assert summary["accuracy"]["warm"] == judged["primary"]["warm"]
    assert len(read_jsonl(run / "evaluation" / "warm.jsonl")) == summary["accuracy"]["rows"]
    assert any("after the warm start, " in line for line in closing_lines(summary, run))
    found = read(run)
    assert isinstance(found, RunData)
    shares = panels.accuracy(found)
    assert shares
    assert all(len(row) == 4 for row in shares.rows)
    assert "warm start" in (run / "report.html").read_text()


def record(number: int, *, right: bool) -> dict[str, object]:
    grades = dict.fromkeys(("correct", "correct_lenient", "format"), right)
    return {"question": f"{number}?", "gold": str(number), "completion": "", "answer": str(number), **grades}


def test_the_verdict_compares_base_and_trained_and_shows_the_warm_start_between() -> None:
    sides = [[record(n, right=n < right) for n in range(60)] for right in (10, 50, 55)]
    measure = Measure(RIGHT, ())
    judged = judge(sides[0], sides[2], measure, warm=sides[1])
    without = judge(sides[0], sides[2], measure)
    assert (judged["primary"]["warm"], judged["format"]["warm"]) == (50 / 60, 50 / 60)
    assert judged["primary"]["warm_interval"][0] < 50 / 60 < judged["primary"]["warm_interval"][1]
    assert {**judged["primary"], **without["primary"]} == judged["primary"]
    assert judged["verdict"] == without["verdict"]
    assert "warm" not in judge(sides[0], sides[2], measure, warm=sides[1][:30])["primary"]


def test_a_share_after_the_warm_start_is_told_only_of_the_rows_that_are_judged(tmp_path: Path) -> None:
    settings = resolve({"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_RUN_ID": "run"}).settings
    attempt = Attempt(settings, Interruption())
    attempt.folder.open()
    attempt.folder.evaluation.mkdir()
    rows = [record(n, right=n < 10) for n in range(60)]
    held_out = [{"question": row["question"], "answer": row["gold"]} for row in rows]
    checked = SimpleNamespace(rewards=rewards.load(settings.rewards), rows=SimpleNamespace(held_out=held_out))
    for warm, told in ((rows, 10 / 60), (rows[:30], None)):
        attempt.summary.update(accuracy={"warm": 0.5}, format={"warm": 0.5})
        write_jsonl(attempt.folder.warm, warm)
        evaluate.judge(attempt, checked, rows, rows)  # type: ignore[arg-type]
        assert attempt.summary.values["accuracy"].get("warm") == told
        assert ("warm" in attempt.summary.values["format"]) == (told is not None)


@pytest.mark.parametrize(("edited", "paid"), [(False, 0.25), (True, 0.5)])
def test_answers_after_the_warm_start_are_paid_again_once_the_file_of_a_reward_was_edited(
    edited: bool, paid: float, tmp_path: Path
) -> None:
    reward = tmp_path / "brief.py"
    reward.write_text("def brief(completion, answer):\n    return 0.5\n")
    environment = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_RUN_ID": "run"}
    settings = resolve({**environment, "GRPO_REWARDS": f"{reward}::brief:1"}).settings
    attempt = Attempt(settings, Interruption())
    attempt.folder.open()
    attempt.folder.evaluation.mkdir()
    rows = [{**record(n, right=False), "rewards": {"brief": 0.25}} for n in range(60)]
    write_jsonl(attempt.folder.warm, rows)
    attempt.summary.update(warm_of="another file" if edited else known_answers.origin_of(attempt))
    checked = SimpleNamespace(
        rewards=rewards.load(settings.rewards),
        rows=SimpleNamespace(
            held_out=[{"question": row["question"], "answer": row["gold"], "prompt": []} for row in rows]
        ),
        base=SimpleNamespace(folder=sample.MODEL),
    )
    evaluate.judge(attempt, checked, rows, rows)  # type: ignore[arg-type]
    assert attempt.summary.values["accuracy"]["warm"] == paid
    assert [row["rewards"]["brief"] for row in read_jsonl(attempt.folder.warm)] == [paid] * 60
    assert attempt.summary.values["warm_of"] == known_answers.origin_of(attempt)


def test_rows_without_a_worked_solution_are_counted_and_refused_where_none_has_one() -> None:
    settings = resolve({"GRPO_WARM_START_STEPS": "5"}).settings
    train = [{"solution": "short"}, {"solution": "x" * 999}, {"solution": ""}]
    rows = Rows(train, [], Counts(), Counts(), None, [], "")
    found = solutions(rows, lambda texts: [len(text) for text in texts], settings)
    assert found.status == "passed"
    assert found.sentence == (
        "1 of 3 training rows have a worked solution, 1 more are longer than GRPO_MAX_COMPLETION_LENGTH"
    )
    assert [row["solution"] for row in rows.train] == ["short", "", ""]
    none = solutions(rows._replace(train=rows.train[1:]), lambda texts: [0 for _ in texts], settings)
    assert none.status == "failed"
    assert "GRPO_SOLUTION_COLUMN (not set)" in none.sentence


def test_a_warm_start_that_ends_within_a_generation_is_refused() -> None:
    with pytest.raises(InvalidRun, match="GRPO_WARM_START_STEPS=3 must be a multiple of the 2 optimizer steps"):
        resolve({"GRPO_WARM_START_STEPS": "3", "GRPO_NUM_ITERATIONS": "2"})


def test_a_warm_start_with_no_learning_rate_after_it_is_refused() -> None:
    with pytest.raises(InvalidRun, match="GRPO_WARM_START_STEPS=3 needs a learning rate after it"):
        resolve({"GRPO_WARM_START_STEPS": "3", "GRPO_LEARNING_RATE": "0"})
