"""What a listener does at each step of the training."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from grpo_job.checkpoints import Checkpoint, CheckpointManager
from grpo_job.monitoring.health import Finding, alike
from grpo_job.monitoring.health.answers import ALIKE, KNOWN, AnswersOfLastSteps
from grpo_job.outcomes import RunLocked
from grpo_job.phases import resume, train, training_listener
from grpo_job.phases.attempt import Attempt
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import read_json, read_jsonl, write_jsonl
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve


def attempt_at(folder: Path, **settings: object) -> Attempt:
    given = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run", "GRPO_SAVE_STEPS": "4"}
    resolved = resolve({**given, **{f"GRPO_{name.upper()}": str(value) for name, value in settings.items()}})
    attempt = Attempt(resolved.settings, Interruption())
    attempt.folder.open()
    return attempt


def resumed(attempt: Attempt) -> tuple[CheckpointManager, Checkpoint | None]:
    manager = resume.manager_of(attempt, None, None)
    return manager, resume.find_checkpoint(attempt, manager)


def trained(attempt: Attempt, *, first: int = 1, last: int) -> None:
    """What an engine tells of steps `first` to `last`."""
    manager, resume = resumed(attempt)
    listener = train.TrainingListener(attempt, manager, 20, resume.step if resume else 0)
    for step in range(first, last + 1):
        listener.on_step(step, {"reward": step / 10})
        listener.on_completions(step, [{"completion": f"said in step {step}"}])
        if listener.should_save(step):
            listener.on_save(step, written(manager, step))


def written(manager: CheckpointManager, step: int) -> Path:
    folder = manager.partial / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_text(f"weights after step {step}")
    return folder


def steps(attempt: Attempt) -> list[int]:
    return [row["step"] for row in read_jsonl(attempt.folder.metrics)]


@pytest.fixture
def listener(tmp_path: Path) -> train.TrainingListener:
    attempt = attempt_at(tmp_path)
    manager, _ = resumed(attempt)
    return train.TrainingListener(attempt, manager, 100)


def test_a_clock_that_is_set_back_does_not_spoil_the_summary(
    listener: train.TrainingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_listener.time, "time", lambda: 1e9)
    listener.on_step(1, {"reward": 1.0})
    listener.attempt.note()
    assert read_json(listener.attempt.folder.summary, shapes.Summary)["seconds"]["first_step"] == 0


def test_a_checkpoint_is_due_at_the_first_question_behind_a_multiple(listener: train.TrainingListener) -> None:
    due = []
    for step in (3, 6, 9, 12, 15, 18):  # as an engine asks whose generations feed three steps
        if listener.should_save(step):
            due.append(step)
            listener.last_saved = step
    assert due == [6, 9, 12, 18]


def test_a_checkpoint_is_due_when_much_time_has_passed(listener: train.TrainingListener) -> None:
    assert not listener.should_save(1)
    listener.manager.last_saved -= 60 * listener.attempt.settings.save_minutes
    assert listener.should_save(1)


def test_training_stops_when_a_signal_came(listener: train.TrainingListener) -> None:
    assert not listener.should_stop(1)
    listener.attempt.interruption.asked = "SIGTERM"
    assert listener.should_stop(1)


def test_who_has_lost_the_run_logs_and_saves_nothing(
    listener: train.TrainingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> None:
        raise RunLocked("another has it")

    monkeypatch.setattr(listener.attempt, "run_lock", SimpleNamespace(assert_held=lost))
    with pytest.raises(RunLocked):
        listener.on_step(1, {})
    with pytest.raises(RunLocked):
        listener.on_save(1, written(listener.manager, 1))
    assert steps(listener.attempt) == []
    assert not list(listener.manager.folder.glob("step-*"))


def test_what_failed_in_the_background_is_told_at_the_next_step(
    listener: train.TrainingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, told = "checkpoint step-000004 did not reach s3://bucket: no answer.", list[str]()
    monkeypatch.setattr(listener.attempt, "mirror", SimpleNamespace(troubles=lambda: [trouble]))
    monkeypatch.setattr(listener.attempt.progress, "warn", told.append)
    listener.on_step(5, {})
    assert told == [trouble]


def test_of_answers_that_became_alike_the_last_checkpoint_before_it_is_named(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    trained(attempt, last=8)  # with checkpoints after 4 and 8
    manager, _ = resumed(attempt)
    collapsed = Finding("hopeless", alike.KIND, 8, "the answers are alike")

    def metrics(last_different: int) -> None:
        values = [{"step": step, ALIKE: 0.0 if step <= last_different else 0.9} for step in range(1, 9)]
        write_jsonl(attempt.folder.metrics, values)

    metrics(last_different=6)
    assert train._last_before(collapsed, attempt, manager).endswith(
        "checkpoint before it is " + str(attempt.folder.checkpoints / "step-000004")
    )
    metrics(last_different=3)
    assert train._last_before(collapsed, attempt, manager).startswith("; no checkpoint from before it is left")
    assert train._last_before(collapsed._replace(kind="no_signal"), attempt, manager) == ""


def test_metrics_of_a_step_hold_how_alike_its_answers_are(listener: train.TrainingListener) -> None:
    rows = [{"prompt": f"question {n}", "answer": str(n)} for n in range(20)]
    listener.answers = AnswersOfLastSteps(rows, lambda completion: completion)
    listener.on_completions(1, [{"prompt": row["prompt"], "completion": "8", "rewards": {}} for row in rows])
    listener.on_step(1, {"reward": 1.0})
    assert read_jsonl(listener.attempt.folder.metrics) == [{"step": 1, "reward": 1.0, ALIKE: 1.0, KNOWN: 0.0}]


def test_a_step_takes_its_share_of_the_time_since_the_last_that_was_logged(
    listener: train.TrainingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([50.0, 70.0])
    monkeypatch.setattr(training_listener, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time))
    listener.last_step_at = 0.0
    for step in (5, 7):
        listener.on_step(step, {"reward": 1.0})
    assert listener.step_seconds == listener.budget.steps == [10.0, 10.0]
