"""What an attempt finds of those before it, here and elsewhere: a finished run, their count, their cost."""

import errno
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun, StopNow
from grpo_job.phases.attempt import Attempt
from tests.inputs.row_files import jsonl, load, problems
from tests.phases.test_attempt import attempt_at, interrupted, run, summary


def test_who_waited_while_another_finished_finds_the_run_finished(tmp_path: Path) -> None:
    first, second = attempt_at(tmp_path), attempt_at(tmp_path)
    with run(first):
        pass
    assert not second.is_finished()
    with second.lock():
        assert second.is_finished()


def test_a_run_that_was_published_elsewhere_is_finished_here_too(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    here = {"checkpoint_to": mirror, "publish_to": f"file://{tmp_path}/published"}
    with run(attempt_at(tmp_path / "one", **here)):
        pass
    second = attempt_at(tmp_path / "two", **here)
    with second.lock():
        assert second.is_finished()


def test_a_run_that_was_published_nowhere_is_done_again_where_its_folder_is_not(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    with run(attempt_at(tmp_path / "one", checkpoint_to=mirror)):
        pass
    second = attempt_at(tmp_path / "two", checkpoint_to=mirror)
    with second.lock():
        assert not second.is_finished()


def test_the_next_attempt_begins_at_once_however_this_one_ends(tmp_path: Path) -> None:
    for error in (StopNow("SIGTERM"), InvalidRun("wrong"), OSError(errno.ENOSPC, "full")):
        with run(attempt_at(tmp_path, lease_seconds="60")):
            raise error


def test_attempts_in_folders_of_their_own_count_and_pay_together(tmp_path: Path) -> None:
    def elsewhere(name: str) -> Attempt:
        return attempt_at(tmp_path / name, checkpoint_to=f"file://{tmp_path}/mirror")

    first = elsewhere("one")
    with run(first):
        first.progress.seconds["train"] = 100.0
        first.progress.started -= 200.0
        raise StopNow("SIGTERM")
    codes = [first.outcome.code, interrupted(elsewhere("two")), interrupted(elsewhere("three"))]
    assert codes == [75, 75, 1]
    found = summary(tmp_path / "three")
    assert found["attempts"] == 3
    assert found["seconds"]["train"] == 100.0  # type: ignore[index]
    assert found["seconds"]["total"] >= 200.0  # type: ignore[index]


def test_who_comes_back_to_its_folder_learns_of_the_attempts_made_elsewhere(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    for name in ("one", "two", "one"):
        interrupted(attempt_at(tmp_path / name, checkpoint_to=mirror), saved=1)
    assert summary(tmp_path / "one")["attempts"] == 3


@pytest.mark.parametrize(
    ("made", "asked", "whole"), [(None, "model", False), ("bfloat16", "model", True), ("bfloat16", "float32", False)]
)
def test_a_result_is_whole_only_with_the_merged_model_that_is_asked_for(
    tmp_path: Path, made: str | None, asked: str, whole: bool
) -> None:
    first = attempt_at(tmp_path)
    with run(first):
        first.summary.update(merged={"dtype": made, "kept": {}} if made else None)
    again = attempt_at(tmp_path, publish_merged="true", publish_merged_dtype=asked)
    assert (again.is_finished(), again.is_trained()) == (whole, whole)
    assert attempt_at(tmp_path).is_finished()


@pytest.mark.parametrize("changed", [{"max_steps": "60"}, {"eval_rows": "7"}, {"lora_rank": "4"}])
def test_a_finished_run_is_not_finished_for_other_settings(tmp_path: Path, changed: dict[str, str]) -> None:
    with run(attempt_at(tmp_path)):
        pass
    assert attempt_at(tmp_path, log_format="json").is_finished()
    assert not attempt_at(tmp_path, **changed).is_finished()


def test_a_finished_run_is_not_finished_for_other_training_rows(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", problems(20))
    with run(attempt_at(tmp_path, rows=load(path))):
        pass
    same, unread = load(path), None
    other = load(jsonl(path, problems(20, first=1)))
    assert [attempt_at(tmp_path, rows=rows).is_finished() for rows in (same, unread, other)] == [True, True, False]


def test_a_run_that_its_budget_ended_is_not_finished_for_a_larger_one(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path, max_hours="1")
    with run(attempt):
        attempt.summary.update(stopped="ended after step 3 of 30")
    assert attempt_at(tmp_path, max_hours="1").is_finished()
    assert not attempt_at(tmp_path, max_hours="2").is_finished()


def test_a_run_that_was_published_elsewhere_with_other_settings_is_not_finished(tmp_path: Path) -> None:
    here = {"checkpoint_to": f"file://{tmp_path}/mirror", "publish_to": f"file://{tmp_path}/published"}
    with run(attempt_at(tmp_path / "one", **here)):
        pass
    second = attempt_at(tmp_path / "two", max_steps="60", **here)
    with second.lock():
        assert not second.is_finished()


def test_a_finished_run_whose_continuation_is_refused_keeps_its_record(tmp_path: Path) -> None:
    with run(attempt_at(tmp_path)):
        pass
    trained = attempt_at(tmp_path)
    trained.summary.update(adapter={"path": "adapter", "sha256": "a1"})
    trained.note(trained.outcome)
    before = summary(tmp_path)
    refused = attempt_at(tmp_path, lora_rank="4")
    with run(refused):
        refused.summary.forget_result()
        raise InvalidRun("lora_rank: 16 -> 4")
    assert refused.outcome.code == 2
    assert summary(tmp_path) == before
    assert attempt_at(tmp_path).is_finished()
