"""One attempt: held alone, its ending always written, and 75 only where trying again may help."""

import errno
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from grpo_job.inputs.dataset import Rows
from grpo_job.monitoring import progress
from grpo_job.outcomes import FINISHED, NOT_PUBLISHED, Abandoned, InvalidRun, RunLocked, StopNow
from grpo_job.phases import outcome
from grpo_job.phases.attempt import Attempt
from grpo_job.run_folder.files import read_json
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve

ROOT = Path(__file__).parents[2]


def attempt_at(folder: Path, rows: Rows | None = None, **settings: str) -> Attempt:
    given = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run", "GRPO_LEASE_SECONDS": "0.3"}
    resolved = resolve({**given, **{f"GRPO_{name.upper()}": value for name, value in settings.items()}})
    return Attempt(resolved.settings, Interruption(), rows=rows)


@contextmanager
def run(attempt: Attempt) -> Iterator[None]:
    with attempt.lock(), outcome.record_outcome(attempt), outcome.told_to_machines(attempt):
        yield


def interrupted(attempt: Attempt, *, saved: int = 0) -> int:
    with run(attempt):
        attempt.checkpoints_saved = saved
        raise StopNow("SIGTERM")
    return attempt.outcome.code


def summary(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "summary.json").read_text())  # type: ignore[no-any-return]


def test_an_attempt_that_does_all_is_finished(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    with run(attempt):
        pass
    assert attempt.outcome.code == 0
    assert attempt_at(tmp_path).is_finished()


def test_what_is_refused_of_a_trained_run_is_told_last_and_its_record_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = attempt_at(tmp_path)
    with run(first):
        first.summary.update(adapter={"path": "adapter", "sha256": "a1"})
    again = attempt_at(tmp_path, max_steps="1")
    with run(again):
        raise InvalidRun("fewer steps")
    assert capfd.readouterr().out.rstrip().endswith("refused (exit 2): fewer steps")
    assert summary(tmp_path)["ending"]["kind"] == "finished"  # type: ignore[index]


@pytest.mark.parametrize(("publish_to", "reason"), [("none", NOT_PUBLISHED), ("file:///out", FINISHED.reason)])
def test_a_finished_attempt_says_whether_it_published(tmp_path: Path, publish_to: str, reason: str) -> None:
    attempt = attempt_at(tmp_path, publish_to=publish_to)
    with run(attempt):
        pass
    assert attempt.outcome == (0, "finished", reason)


@pytest.mark.parametrize(("error", "code"), [(InvalidRun("wrong"), 2), (Abandoned("no signal"), 4)])
def test_a_known_ending_is_written_and_not_raised(tmp_path: Path, error: Exception, code: int) -> None:
    with run(attempt_at(tmp_path)):
        raise error
    assert summary(tmp_path)["ending"]["code"] == code  # type: ignore[index]


@pytest.mark.parametrize("one_terminal", [True, False])
def test_a_failure_is_told_once_where_standard_error_is_read_too(
    one_terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outcome, "is_one_terminal", lambda: one_terminal)
    with run(attempt_at(tmp_path)):
        raise Abandoned("no signal")
    out = capfd.readouterr().out
    assert "run folder: " in out
    assert ("hopeless (exit 4): no signal" in out) is not one_terminal


def test_what_a_phase_takes_is_in_the_summary_while_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = attempt_at(tmp_path, price_per_hour="3600")
    with run(attempt), attempt.progress.phase("train", "training"):
        seven_seconds_on = SimpleNamespace(monotonic=lambda: time.monotonic() + 7.0)
        monkeypatch.setattr(progress, "time", seven_seconds_on)
        attempt.note()
        during = read_json(attempt.folder.summary)
    assert during["seconds"]["train"] >= 7.0
    assert during["cost"]["train"] >= 7.0


def test_an_unknown_error_is_written_and_raised(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    with pytest.raises(ZeroDivisionError), run(attempt):
        raise ZeroDivisionError("by zero")
    assert summary(tmp_path)["ending"] == {
        "code": 1, "kind": "unexpected", "reason": "ZeroDivisionError: by zero",
    }  # fmt: skip
    attempt.watchdog.thread.join()  # else it would end this process, with another ending


def test_an_error_behind_a_signal_is_the_signals(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    attempt = attempt_at(tmp_path)
    with run(attempt):
        attempt.interruption.asked = "SIGTERM"
        raise ConnectionError("the download was cut short")
    assert attempt.outcome.code == 75
    assert "SIGTERM was received (ConnectionError: the download was cut short)" in attempt.outcome.reason
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
        monkeypatch.setattr("grpo_job.run_folder.summary.write_json", full)
        raise Abandoned("no signal")
    assert attempt.outcome.code == 4
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
        raise InvalidRun("wrong")
    assert interrupted(attempt_at(tmp_path)) == 75


def test_a_signal_that_ends_a_hang_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = attempt_at(tmp_path)
    monkeypatch.setattr(attempt.watchdog, "stale_for", lambda: 400.0)
    with run(attempt):
        raise StopNow("SIGTERM")
    assert attempt.outcome.code == 1
    assert attempt.outcome.reason == "SIGTERM was received, after 400 s without any progress"


def test_a_run_that_another_holds_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who loses the run ends its process, this one: the contender is patient, and looks often.
    often = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(min(seconds, 0.02)))
    monkeypatch.setattr("grpo_job.checkpoints.lease.time", often)
    holder, contender = attempt_at(tmp_path, lease_seconds="1"), attempt_at(tmp_path, lease_seconds="600")
    with run(holder):
        before = summary(tmp_path)
        with pytest.raises(RunLocked, match="works on this run"), run(contender):
            pass
        assert summary(tmp_path) == before


def test_who_has_lost_the_run_writes_no_ending(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    with run(attempt):
        before = summary(tmp_path)
        raise RunLocked("another has taken the run over")
    assert attempt.outcome.code == 5
    assert summary(tmp_path) == before


# As `cli.py` would: torchrun sends SIGTERM to the others when it has seen that one process ended.
ANOTHER_RANK_ENDS = """
import os, signal, sys
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.outcome import record_outcome
from grpo_job.outcomes import Unexpected
from grpo_job.outcomes import StopNow
from grpo_job.runtime.signals import Interruption
from grpo_job.engines.ranks import OneProcess
from grpo_job.settings.reader import resolve

def torchrun():
    os.kill(os.getpid(), signal.SIGTERM)

class Lost(OneProcess):
    def lost(self, wait=0.0):
        if wait:
            torchrun()
        return Unexpected("rank 1 was killed").outcome()

settings = resolve({"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": sys.argv[1], "GRPO_RUN_ID": "run"}).settings
interruption = Interruption().install()
interruption.second_signal_ends = False
attempt = Attempt(settings, interruption, ranks=Lost())
try:
    with attempt.lock(), record_outcome(attempt):
        raise RuntimeError("Connection closed by peer")
    torchrun()
except StopNow:
    sys.exit(75)
sys.exit(attempt.outcome.code)
"""


def test_the_end_of_another_rank_stays_the_reason_when_torchruns_signal_comes_behind_it(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", ANOTHER_RANK_ENDS, tmp_path], cwd=ROOT, capture_output=True)
    assert ended.returncode == 1, ended.stderr.decode()
    assert summary(tmp_path)["ending"]["reason"] == "rank 1 was killed"  # type: ignore[index]


def test_a_refusal_that_an_error_of_the_disk_caused_keeps_its_code_and_its_sentence(tmp_path: Path) -> None:
    with run(attempt_at(tmp_path)):
        raise InvalidRun("GRPO_DATASET: cannot be read") from PermissionError(errno.EACCES, "Permission denied")
    assert summary(tmp_path)["ending"] == {"code": 2, "kind": "refused", "reason": "GRPO_DATASET: cannot be read"}


def test_a_damaged_summary_is_made_again_with_the_count_of_attempts_from_the_lease(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        interrupted(attempt_at(tmp_path))
    (tmp_path / "run" / "summary.json").write_text('{"attempts": "many"}')
    interrupted(attempt_at(tmp_path))
    assert summary(tmp_path)["attempts"] == 3
    assert "summary.json is damaged (attempts: Input should be a valid integer)" in capfd.readouterr().out


def test_a_damaged_lease_expires(tmp_path: Path) -> None:
    interrupted(attempt_at(tmp_path))
    (tmp_path / "run" / "lease" / "000001.json").write_bytes(b"\xff garbage")
    (tmp_path / "run" / "lease" / "notes.json").write_text("of somebody")
    assert interrupted(attempt_at(tmp_path)) == 75


def test_a_port_that_is_taken_is_a_refusal_that_the_summary_keeps(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        attempt = attempt_at(tmp_path, metrics_port=str(taken.getsockname()[1]))
        with attempt.lock(), outcome.record_outcome(attempt), outcome.told_to_machines(attempt):
            pytest.fail("the run began")
    assert attempt.outcome.code == 2
    assert "GRPO_METRICS_PORT" in summary(tmp_path)["ending"]["reason"]  # type: ignore[index]
