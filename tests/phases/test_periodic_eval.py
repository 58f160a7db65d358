"""Held-out questions while training: they disturb nothing, choose the best adapter, and can end the run."""

from pathlib import Path
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.checkpoints import PARTIAL
from grpo_job.evaluation.completion import Completion
from grpo_job.outcomes import InvalidRun
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.periodic_eval import WEIGHTS, PeriodicEvaluation
from grpo_job.run_folder.files import read_json, read_jsonl, sha256
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve
from tests.evaluation.test_completion import ended
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

ROWS = [{"prompt": [], "question": f"question {number}", "answer": "1"} for number in range(10)]
RIGHT, WRONG = "<reasoning>\n1\n</reasoning>\n<answer>\n1\n</answer>", "no"


class Pupil:
    """An engine that answers as many questions rightly as it is told, and whose weights are its own name."""

    right = 0

    def generate(self, prompts: list[Any], **_: Any) -> list[list[Completion]]:
        self.asked = len(prompts)
        return [[ended(RIGHT if number < self.right else WRONG)] for number in range(len(prompts))]

    def save_adapter(self, folder: Path) -> None:
        (folder / WEIGHTS).write_text(f"{self.right} right")

    def load_adapter(self, weights: Path) -> None:
        self.loaded = weights.read_text()


def midway_of(folder: Path, **variables: str) -> tuple[PeriodicEvaluation, Pupil]:
    settings = {"GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run", "GRPO_EVAL_STEPS": "5"}
    resolved = resolve({**settings, **{f"GRPO_{name}": value for name, value in variables.items()}})
    attempt = Attempt(resolved.settings, Interruption())
    (attempt.folder.open().checkpoints / PARTIAL).mkdir(parents=True, exist_ok=True)
    pupil = Pupil()
    chosen = rewards.load(resolved.settings.rewards)
    return PeriodicEvaluation(pupil, ROWS, attempt, chosen), pupil  # type: ignore[arg-type]


def examined(periodic_eval: PeriodicEvaluation, pupil: Pupil, **right_by_step: int) -> None:
    for name, right in right_by_step.items():
        pupil.right = right
        step = int(name.removeprefix("step"))
        periodic_eval.run(step)
        periodic_eval.attempt.summary.update(steps={"done": step})


def test_a_mean_of_another_measure_is_not_logged_as_an_accuracy(tmp_path: Path) -> None:
    measured = {name: set(midway_of(tmp_path, REWARDS=name)[0].run(5)) for name in ("correct", "format_tags")}
    beside = {"eval_format", "eval_rows"}
    assert measured == {"correct": {"eval_accuracy", *beside}, "format_tags": {"eval_mean", *beside}}


def test_an_examination_is_due_at_each_multiple_and_at_the_end(tmp_path: Path) -> None:
    periodic_eval, _ = midway_of(tmp_path)
    due = []
    for step in range(1, 13):
        if periodic_eval.due(step, planned=12):
            due.append(step)
            periodic_eval.run(step)
    assert due == [5, 10, 12]


def test_a_multiple_that_is_no_boundary_is_made_up_for_at_the_next_one(tmp_path: Path) -> None:
    periodic_eval, _ = midway_of(tmp_path)
    assert not periodic_eval.due(4, planned=100)
    assert periodic_eval.due(8, planned=100)
    periodic_eval.run(8)
    assert not periodic_eval.due(9, planned=100)
    assert periodic_eval.due(12, planned=100)


def test_without_eval_steps_nothing_is_due(tmp_path: Path) -> None:
    periodic_eval, _ = midway_of(tmp_path, EVAL_STEPS="none")
    assert not periodic_eval.due(100, planned=100)


def test_the_value_of_each_row_at_each_step_is_recorded_and_read_by_a_later_attempt(tmp_path: Path) -> None:
    periodic_eval, pupil = midway_of(tmp_path, KEEP="best")
    examined(periodic_eval, pupil, step5=2, step10=1)
    lines = read_jsonl(periodic_eval.attempt.folder.choosing)
    assert lines[:3] == [
        {"question": "question 0", "gold": "1", "values": {"5": 1.0, "10": 1.0}},
        {"question": "question 1", "gold": "1", "values": {"5": 1.0, "10": 0.0}},
        {"question": "question 2", "gold": "1", "values": {"5": 0.0, "10": 0.0}},
    ]
    assert midway_of(tmp_path, KEEP="best")[0].accuracies == {5: 0.2, 10: 0.1}


def test_the_best_of_equal_ones_is_the_first_and_its_weights_are_the_result(tmp_path: Path) -> None:
    periodic_eval, pupil = midway_of(tmp_path, KEEP="best")
    examined(periodic_eval, pupil, step5=2, step10=7, step15=7, step20=3)
    periodic_eval.finish(planned=20)
    assert periodic_eval.best_step() == 10
    assert pupil.loaded == "7 right"
    assert periodic_eval.attempt.summary.values["kept"] == {"step": 10, "eval_accuracy": 0.7}


def test_the_last_adapter_stays_where_another_leads_it_by_no_more_than_a_standard_error(tmp_path: Path) -> None:
    periodic_eval, pupil = midway_of(tmp_path, KEEP="best")
    examined(periodic_eval, pupil, step5=4, step10=3)  # one row of ten: lead and standard error are both 0.1
    periodic_eval.finish(planned=10)
    assert not hasattr(pupil, "loaded")
    assert periodic_eval.attempt.summary.values["kept"] == {"step": 10, "eval_accuracy": 0.3}


def test_a_last_adapter_that_was_not_evaluated_is_before_it_is_compared(tmp_path: Path) -> None:
    periodic_eval, pupil = midway_of(tmp_path, KEEP="best")
    examined(periodic_eval, pupil, step5=7)
    pupil.right = 1
    periodic_eval.attempt.summary.update(steps={"done": 8})
    periodic_eval.finish(planned=20)
    assert periodic_eval.accuracies == {5: 0.7, 8: 0.1}
    assert pupil.loaded == "7 right"


def test_without_keep_best_the_last_adapter_stays(tmp_path: Path) -> None:
    periodic_eval, pupil = midway_of(tmp_path)
    examined(periodic_eval, pupil, step5=7, step10=2)
    periodic_eval.finish(planned=10)
    assert not hasattr(pupil, "loaded")
    assert not periodic_eval.attempt.folder.best_adapter.exists()


@pytest.mark.parametrize(("right", "reached"), [(6, False), (8, False), (9, False), (10, True)])
def test_the_goal_is_reached_by_the_lower_end_of_the_interval(tmp_path: Path, right: int, reached: bool) -> None:
    periodic_eval, pupil = midway_of(tmp_path, STOP_AT_ACCURACY="0.6")
    examined(periodic_eval, pupil, step5=right)
    assert periodic_eval.goal_reached() is reached


@pytest.mark.parametrize("given", [{"GRPO_KEEP": "best"}, {"GRPO_STOP_AT_ACCURACY": "0.5"}])
def test_what_is_decided_by_examinations_needs_them(given: dict[str, str]) -> None:
    with pytest.raises(InvalidRun, match="allowed: set GRPO_EVAL_STEPS"):
        resolve(given)


# Good at first, then harmful.
HARMFUL = {"GRPO_LEARNING_RATE": "0.1", "GRPO_WARMUP_STEPS": "5", "GRPO_EVAL_ROWS": "16", "GRPO_MAX_STEPS": "6"}
EXAMINED = {**HARMFUL, "GRPO_EVAL_STEPS": "2"}
EXAMINED_AT_THE_END = {**HARMFUL, "GRPO_EVAL_STEPS": "1000"}  # the same rows are set apart


def accuracies(folder: Path) -> dict[int, float]:
    rows = read_jsonl(folder / runs.RUN_ID / "metrics.jsonl")
    return {row["step"]: row["eval_accuracy"] for row in rows if "eval_accuracy" in row}


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose learning rate does harm, so that its last adapter is not its best."""
    folder = tmp_path_factory.mktemp("best")
    settings = {**EXAMINED, "GRPO_KEEP": "best", "GRPO_SAVE_TOTAL_LIMIT": "1"}
    assert runs.finish(folder, settings, hooks=[WithoutReport()]) == 0
    return folder


@pytest.mark.slow
def test_examinations_leave_the_training_byte_for_byte_as_it_was(tmp_path: Path) -> None:
    for name, settings in (("plain", EXAMINED_AT_THE_END), ("examined", EXAMINED)):
        assert runs.finish(tmp_path / name, settings, hooks=[WithoutReport()]) == 0
    plain, found = runs.result(tmp_path / "plain"), runs.result(tmp_path / "examined")
    for run in (plain, found):
        run["metrics"] = [{k: v for k, v in row.items() if not k.startswith("eval_")} for row in run["metrics"]]
    assert runs.difference(plain, found) == ""
    assert list(accuracies(tmp_path / "examined")) == [2, 4, 6]


@pytest.mark.slow
def test_keep_best_makes_the_best_adapter_the_result_though_its_checkpoint_is_pruned(best: Path) -> None:
    found, run = accuracies(best), best / runs.RUN_ID
    first_best = max(found, key=lambda step: (found[step], -step))
    assert first_best < 6, f"this run should get worse: {found}"
    assert not (run / "checkpoints" / f"step-{first_best:06d}").exists()
    assert read_json(run / "summary.json")["kept"]["step"] == first_best
    assert sha256(run / "adapter" / WEIGHTS) == sha256(run / "best_adapter.safetensors")
    assert sha256(run / "adapter" / WEIGHTS) != sha256(run / "checkpoints" / "step-000006" / WEIGHTS)


@pytest.mark.slow
def test_an_interrupted_run_keeps_the_same_best_adapter(best: Path, tmp_path: Path) -> None:
    settings = {**EXAMINED, "GRPO_KEEP": "best", "GRPO_SAVE_TOTAL_LIMIT": "1"}
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport(), SignalAfterStep(5)]) == 75
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport()]) == 0
    assert runs.difference(runs.result(best), runs.result(tmp_path)) == ""


@pytest.mark.slow
def test_a_reached_goal_ends_the_training_in_order_and_says_so(tmp_path: Path) -> None:
    settings = {**EXAMINED, "GRPO_STOP_AT_ACCURACY": "0.01"}
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport()]) == 0
    found = read_json(tmp_path / runs.RUN_ID / "summary.json")
    assert found["steps"]["done"] == 2
    assert found["ending"]["kind"] == "finished"
    assert "stopped after step 2 of 6: GRPO_STOP_AT_ACCURACY=0.01 was reached" in found["ending"]["reason"]
    assert found["accuracy"]["after"] is not None


@pytest.mark.slow
def test_a_run_that_had_reached_its_goal_does_not_train_on_when_it_is_resumed(tmp_path: Path) -> None:
    settings = {**EXAMINED, "GRPO_STOP_AT_ACCURACY": "0.01"}
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport(), SignalAfterStep(2)]) == 75
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport()]) == 0
    assert read_json(tmp_path / runs.RUN_ID / "summary.json")["steps"]["done"] == 2
    run = tmp_path / runs.RUN_ID
    assert sha256(run / "adapter" / WEIGHTS) == sha256(run / "checkpoints" / "step-000002" / WEIGHTS)
