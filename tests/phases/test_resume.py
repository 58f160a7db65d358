"""Where a run resumes: its newest valid checkpoint of the same run, here or at the mirror."""

import json
import shutil
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.phases import resume, train
from grpo_job.run_folder import identity
from grpo_job.run_folder.files import read_jsonl
from grpo_job.settings.reader import resolve
from tests.phases.test_train import attempt_at, resumed, steps, trained, written

HELD_OUT = {"eval_dataset": "others", "eval_dataset_config": "main", "eval_split": "test"}


def test_a_run_resumes_behind_its_newest_checkpoint_with_the_metrics_of_then(tmp_path: Path) -> None:
    trained(attempt_at(tmp_path), last=10)
    attempt = attempt_at(tmp_path)
    _, checkpoint = resumed(attempt)
    assert checkpoint is not None
    assert checkpoint.step == 8
    assert steps(attempt) == list(range(1, 9))
    assert [row["step"] for row in read_jsonl(attempt.folder.completions)] == list(range(1, 9))
    assert attempt.summary.values["steps"]["lost_to_resume"] == 2


def test_metrics_that_were_lost_or_garbled_come_back_from_the_checkpoint(tmp_path: Path) -> None:
    trained(attempt_at(tmp_path), last=8)
    attempt = attempt_at(tmp_path)
    attempt.folder.metrics.write_text('{"step": 1}\n{"st')
    resumed(attempt)
    assert steps(attempt) == list(range(1, 9))


def test_a_reward_file_may_be_edited_until_the_run_has_a_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("one")
    trained(attempt_at(tmp_path, rewards=f"{file}::brief:1"), last=8)
    file.write_text("another")
    attempt = attempt_at(tmp_path, rewards=f"{file}::brief:1")
    _, checkpoint = resumed(attempt)
    assert checkpoint is not None
    assert "up to step 8 it was trained with other files of rewards (reward_files: {" in capfd.readouterr().out
    attempt.summary.update(adapter={"path": "adapter", "sha256": "a1"})
    attempt.summary.write()
    with pytest.raises(InvalidRun, match="with other settings or rows \\(reward_files: "):
        resumed(attempt_at(tmp_path, rewards=f"{file}::brief:1"))


def test_without_a_checkpoint_the_run_begins_anew(tmp_path: Path) -> None:
    trained(attempt_at(tmp_path), last=3)
    attempt = attempt_at(tmp_path)
    assert resumed(attempt)[1] is None
    assert steps(attempt) == []


def test_a_later_attempt_that_finds_no_checkpoint_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = attempt_at(tmp_path, checkpoint_to=f"file://{tmp_path}/mirror")
    trained(first, last=3)
    first.summary.write()
    resumed(attempt_at(tmp_path, checkpoint_to=f"file://{tmp_path}/mirror"))
    said = capfd.readouterr().out
    assert f"attempt 2 starts at step 1: no valid checkpoint is in {tmp_path}/run/checkpoints" in said
    assert f"or at file://{tmp_path}/mirror/run" in said


def test_a_run_that_has_a_result_is_never_begun_anew_unasked(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    attempt.summary.update(adapter={"path": "adapter", "sha256": "a1"}, steps={"done": 30})
    attempt.summary.write()
    with pytest.raises(InvalidRun, match="has a result after 30 steps, but no valid checkpoint is in "):
        resumed(attempt_at(tmp_path))
    assert resumed(attempt_at(tmp_path, resume="never"))[1] is None


def test_fewer_steps_than_were_done_are_refused_by_name(tmp_path: Path) -> None:
    trained(attempt_at(tmp_path), last=8)
    attempt = attempt_at(tmp_path, max_steps=7)
    _, checkpoint = resumed(attempt)
    with pytest.raises(InvalidRun, match="GRPO_MAX_STEPS asks for 7 steps, but that run has already done 8"):
        resume.refuse_fewer_steps(attempt, checkpoint, 7)
    resume.refuse_fewer_steps(attempt, checkpoint, 8)


def test_steps_that_are_told_as_too_few_are_counted_as_they_were_set_without_the_warm_start() -> None:
    settings = resolve({"GRPO_MAX_STEPS": "5", "GRPO_WARM_START_STEPS": "3", "GRPO_RUN_ID": "run"}).settings
    said = identity.too_few_steps(settings, planned=8, done=9)
    assert said
    assert "GRPO_MAX_STEPS asks for 5 steps, but that run has already done 6; allowed: at least 6 steps" in said


def test_what_a_save_has_cost_so_far_outlives_a_kill(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    attempt.progress.started -= 500.0
    trained(attempt, last=4)
    again = attempt_at(tmp_path)
    assert again.summary.values["seconds"]["total"] >= 500.0
    assert again.summary.ended_with is None


def test_what_a_checkpoint_costs_stands_in_the_summary(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    manager, _ = resumed(attempt)
    listener = train.TrainingListener(attempt, manager, 20)
    listener.last_step_at -= 2.0
    listener.on_save(8, written(manager, 8))
    files = [path for path in (attempt.folder.checkpoints / "step-000008").iterdir() if path.name != "manifest.json"]
    found = attempt.summary.values["checkpoint"]
    assert found["bytes"] == sum(path.stat().st_size for path in files) > 0
    assert found["seconds"] >= 2.0


def test_a_run_that_shall_not_resume_forgets_here_and_at_the_mirror(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    first = attempt_at(tmp_path, checkpoint_to=mirror)
    trained(first, last=8)
    first.flush_mirror()
    again = attempt_at(tmp_path, checkpoint_to=mirror, resume="never")
    assert resumed(again)[1] is None
    assert not list(again.folder.checkpoints.glob("step-*"))
    assert again.mirror is not None
    assert again.mirror.steps() == []


def test_a_run_whose_folder_is_gone_resumes_from_the_mirror(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    first = attempt_at(tmp_path, checkpoint_to=mirror)
    trained(first, last=10)
    first.flush_mirror()
    shutil.rmtree(first.folder.path)
    attempt = attempt_at(tmp_path, checkpoint_to=mirror)
    _, checkpoint = resumed(attempt)
    assert checkpoint is not None
    assert checkpoint.step == 8
    assert steps(attempt) == list(range(1, 9))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"lora_rank": 8}, "lora_rank: 16 -> 8"),
        ({"rewards": "correct:1"}, "rewards: "),
        ({"eval_steps": 5}, "eval_steps_rows: 0 -> 64"),  # these rows were trained on
        ({"per_device_train_batch_size": 32}, "per_device_train_batch_size: 64 -> 32"),
        ({"epsilon": 0.1}, "grpo_config: {} -> {'epsilon': 0.1}"),
    ],
)
def test_settings_that_alter_the_result_are_refused_by_name(
    tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    trained(attempt_at(tmp_path), last=4)
    with pytest.raises(InvalidRun) as refused:
        resumed(attempt_at(tmp_path, **changed))
    assert named in str(refused.value)


def test_other_revisions_of_model_or_rows_are_refused_by_name(tmp_path: Path) -> None:
    trained(attempt_at(tmp_path), last=4)
    attempt = attempt_at(tmp_path)
    with pytest.raises(InvalidRun, match="model_commit: None -> 'a1'; training_rows: None -> 'b2'"):
        resume.find_checkpoint(attempt, resume.manager_of(attempt, "a1", "b2"))


def test_a_checkpoint_of_another_engine_is_refused_by_name(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    ours, other = (resume.manager_of(attempt, None, None, f"{name} on a GPU") for name in ("unsloth", "trl"))
    assert resume.find_checkpoint(attempt, ours) is None
    ours.commit(4, written(ours, 4))
    assert resume.find_checkpoint(attempt, ours) is not None
    with pytest.raises(InvalidRun, match="engine_chosen: 'unsloth on a GPU' -> 'trl on a GPU'"):
        resume.find_checkpoint(attempt, other)


@pytest.mark.parametrize(
    "changed", [{"max_steps": 60}, {"log_format": "json"}, {"save_steps": 2}, {"eval_rows": 9}, HELD_OUT]
)
def test_settings_that_alter_no_step_are_allowed(tmp_path: Path, changed: dict[str, object]) -> None:
    trained(attempt_at(tmp_path), last=4)
    assert resumed(attempt_at(tmp_path, **changed))[1] is not None


def test_a_checkpoint_of_another_run_is_named_and_an_older_one_of_this_run_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained(attempt_at(tmp_path), last=8)
    manifest = tmp_path / "run" / "checkpoints" / "step-000008" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["identity"]["seed"] = 7
    manifest.write_text(json.dumps(content))
    _, checkpoint = resumed(attempt_at(tmp_path))
    assert checkpoint is not None
    assert checkpoint.step == 4
    assert "checkpoint step-000008 is of another run and not used: seed: 7 -> 42" in capfd.readouterr().out
