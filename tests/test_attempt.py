"""One attempt: held alone, its ending always written, and 75 only where trying again may help."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grpo_job import endings
from grpo_job.attempt import Attempt
from grpo_job.failures import Held, Hopeless, Refused
from grpo_job.interruption import Interruption, StopNow
from grpo_job.settings_reader import resolve


def attempt_at(folder: Path, **settings: str) -> Attempt:
    given = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run", "GRPO_LEASE_SECONDS": "0.3"}
    resolved = resolve({**given, **{f"GRPO_{name.upper()}": value for name, value in settings.items()}})
    return Attempt(resolved.settings, Interruption())


@contextmanager
def run(attempt: Attempt) -> Iterator[None]:
    with attempt.alone(), endings.recorded(attempt):
        yield


def interrupted(attempt: Attempt, *, saved: int = 0) -> int:
    with run(attempt):
        attempt.checkpoints_saved = saved
        raise StopNow("SIGTERM")
    return attempt.ending.code


def summary(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "summary.json").read_text())  # type: ignore[no-any-return]


def test_an_attempt_that_does_all_is_finished(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    with run(attempt):
        pass
    assert attempt.ending.code == 0
    assert attempt_at(tmp_path).is_finished()


@pytest.mark.parametrize(("error", "code"), [(Refused("wrong"), 2), (Hopeless("no signal"), 4)])
def test_a_known_ending_is_written_and_not_raised(tmp_path: Path, error: Exception, code: int) -> None:
    with run(attempt_at(tmp_path)):
        raise error
    assert summary(tmp_path)["ending"]["code"] == code  # type: ignore[index]


def test_an_unknown_error_is_written_and_raised(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run(attempt_at(tmp_path)):
        raise ZeroDivisionError("by zero")
    assert summary(tmp_path)["ending"] == {
        "code": 1, "kind": "unexpected", "reason": "ZeroDivisionError: by zero",
    }  # fmt: skip


def test_an_error_behind_a_signal_is_the_signals(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    attempt = attempt_at(tmp_path)
    with run(attempt):
        attempt.interruption.asked = "SIGTERM"
        raise ConnectionError("the download was cut short")
    assert attempt.ending.code == 75
    assert "SIGTERM was received (ConnectionError: the download was cut short)" in attempt.ending.reason
    assert "Traceback" in capfd.readouterr().err


def test_a_full_disk_is_a_known_ending_with_its_cure(tmp_path: Path) -> None:
    with run(attempt_at(tmp_path)):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "free some space and run the same command again" in summary(tmp_path)["ending"]["reason"]  # type: ignore[index]


def test_an_ending_that_cannot_be_written_still_gives_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    attempt = attempt_at(tmp_path)
    with run(attempt):
        monkeypatch.setattr("grpo_job.summary.write_json", full)
        raise Hopeless("no signal")
    assert attempt.ending.code == 4
    assert "summary.json could not be written" in capfd.readouterr().err


def test_an_interrupted_attempt_ends_with_75(tmp_path: Path) -> None:
    assert interrupted(attempt_at(tmp_path)) == 75


def test_the_third_interrupted_attempt_without_a_new_checkpoint_ends_with_1(tmp_path: Path) -> None:
    assert [interrupted(attempt_at(tmp_path)) for _ in range(3)] == [75, 75, 1]


def test_a_new_checkpoint_begins_the_count_anew(tmp_path: Path) -> None:
    saved = [0, 0, 1, 0, 0, 0]
    assert [interrupted(attempt_at(tmp_path), saved=number) for number in saved] == [75, 75, 75, 75, 75, 1]


def test_an_attempt_that_ends_otherwise_begins_the_count_anew(tmp_path: Path) -> None:
    assert [interrupted(attempt_at(tmp_path)) for _ in range(2)] == [75, 75]
    with run(attempt_at(tmp_path)):
        raise Refused("wrong")
    assert interrupted(attempt_at(tmp_path)) == 75


def test_a_signal_that_ends_a_hang_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = attempt_at(tmp_path)
    monkeypatch.setattr(attempt.watchdog, "stale_for", lambda: 400.0)
    with run(attempt):
        raise StopNow("SIGTERM")
    assert attempt.ending.code == 1
    assert attempt.ending.reason == "SIGTERM was received, after 400 s without any progress"


def test_a_run_that_another_holds_is_left_as_it_is(tmp_path: Path) -> None:
    holder, contender = attempt_at(tmp_path, lease_seconds="0.5"), attempt_at(tmp_path, lease_seconds="0.5")
    with run(holder):
        before = summary(tmp_path)
        with pytest.raises(Held, match="works on this run"), run(contender):
            pass
        assert summary(tmp_path) == before


def test_who_has_lost_the_run_writes_no_ending(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    with run(attempt):
        before = summary(tmp_path)
        raise Held("another has taken the run over")
    assert attempt.ending.code == 5
    assert summary(tmp_path) == before


def test_who_waited_while_another_finished_finds_the_run_finished(tmp_path: Path) -> None:
    first, second = attempt_at(tmp_path), attempt_at(tmp_path)
    with run(first):
        pass
    assert not second.is_finished()
    with second.alone():
        assert second.is_finished()


def test_a_run_that_was_published_elsewhere_is_finished_here_too(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    here = {"checkpoint_to": mirror, "publish_to": f"file://{tmp_path}/published"}
    with run(attempt_at(tmp_path / "one", **here)):
        pass
    second = attempt_at(tmp_path / "two", **here)
    with second.alone():
        assert second.is_finished()


def test_a_run_that_was_published_nowhere_is_done_again_where_its_folder_is_not(tmp_path: Path) -> None:
    mirror = f"file://{tmp_path}/mirror"
    with run(attempt_at(tmp_path / "one", checkpoint_to=mirror)):
        pass
    second = attempt_at(tmp_path / "two", checkpoint_to=mirror)
    with second.alone():
        assert not second.is_finished()


def test_the_next_attempt_begins_at_once_however_this_one_ends(tmp_path: Path) -> None:
    for error in (StopNow("SIGTERM"), Refused("wrong"), OSError(errno.ENOSPC, "full")):
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
    codes = [first.ending.code, interrupted(elsewhere("two")), interrupted(elsewhere("three"))]
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


@pytest.mark.parametrize("changed", [{"max_steps": "60"}, {"eval_rows": "7"}, {"lora_rank": "4"}])
def test_a_finished_run_is_not_finished_for_other_settings(tmp_path: Path, changed: dict[str, str]) -> None:
    with run(attempt_at(tmp_path)):
        pass
    assert attempt_at(tmp_path, log_format="json").is_finished()
    assert not attempt_at(tmp_path, **changed).is_finished()


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
    with second.alone():
        assert not second.is_finished()


def test_a_finished_run_whose_continuation_is_refused_keeps_its_record(tmp_path: Path) -> None:
    with run(attempt_at(tmp_path)):
        pass
    trained = attempt_at(tmp_path)
    trained.summary.update(adapter={"path": "adapter", "sha256": "a1"})
    trained.note(trained.ending)
    before = summary(tmp_path)
    refused = attempt_at(tmp_path, lora_rank="4")
    with run(refused):
        refused.summary.forget_result()
        raise Refused("lora_rank: 16 -> 4")
    assert refused.ending.code == 2
    assert summary(tmp_path) == before
    assert attempt_at(tmp_path).is_finished()
