"""A tracker whose server is away, slow or silent costs a run one warning and no time."""

import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from grpo_job.monitoring import trackers
from grpo_job.monitoring.trackers import Trackers, background
from grpo_job.monitoring.trackers.credentials import faults
from grpo_job.run_folder.files import read_json
from tests.faults import runs
from tests.faults.hooks import WithoutReport
from tests.monitoring.trackers.test_trackers import SUMMARY, run_in

KEY = "0123456789abcdef0123456789abcdef01234567"


class Silent:
    """A tracker whose calls do not return until the test is over."""

    done = -1

    def __init__(self, over: threading.Event, *, hangs_at: int) -> None:
        self.over, self.hangs_at = over, hangs_at
        self.logged: list[int] = []

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if step >= self.hangs_at:
            self.over.wait()
        self.logged.append(step)

    def keep(self, report: Path) -> None:
        self.over.wait()

    def close(self) -> None:
        self.over.wait()


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    for name in ("OPEN_SECONDS", "CALL_SECONDS", "WAIT_FOR_OPEN"):
        monkeypatch.setattr(background, name, 0.05)
    event = threading.Event()
    yield event
    event.set()


def started(monkeypatch: pytest.MonkeyPatch, tracker: Silent, tmp_path: Path) -> tuple[Trackers, list[str]]:
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda run: tracker)
    told: list[str] = []
    found = Trackers(told.append)
    found.start(["mlflow"], run_in(tmp_path))
    return found, told


def test_a_server_that_never_answers_is_told_of_once_and_never_waited_for(
    monkeypatch: pytest.MonkeyPatch, over: threading.Event, tmp_path: Path
) -> None:
    found, told = started(monkeypatch, Silent(over, hangs_at=2), tmp_path)
    step = 0
    while not told:
        step += 1
        found.log(step, {"loss": 1.0})
    for later in range(step, step + 5):
        found.log(later, {"loss": 1.0})
    found.conclude(SUMMARY, tmp_path / "report.html")
    found.close()
    assert told == ["GRPO_REPORT_TO: mlflow disabled for the rest of this attempt: TooSlow: its server does not answer"]


def test_a_server_that_does_not_let_itself_be_opened_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, over: threading.Event, tmp_path: Path
) -> None:
    def opened(*_: object) -> Silent:
        over.wait()
        return Silent(over, hangs_at=1)

    monkeypatch.setitem(trackers.TRACKERS, "wandb", opened)
    told: list[str] = []
    found = Trackers(told.append)
    found.start(["wandb"], run_in(tmp_path), [{"step": 1, "loss": 1.0}])
    while not told:
        found.log(2, {"loss": 1.0})
    found.close()
    assert len(told) == 1


def test_a_server_that_falls_silent_at_the_end_holds_the_end_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch, over: threading.Event, tmp_path: Path
) -> None:
    tracker = Silent(over, hangs_at=9)
    found, told = started(monkeypatch, tracker, tmp_path)
    found.log(1, {"loss": 1.0})
    found.close(0.05)
    assert tracker.logged == [1]
    assert len(told) == 1


def test_all_that_was_logged_is_sent_before_a_tracker_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    over = threading.Event()
    over.set()
    tracker = Silent(over, hangs_at=9)
    found, told = started(monkeypatch, tracker, tmp_path)
    for step in range(1, 50):
        found.log(step, {"loss": 1.0})
    found.close()
    assert tracker.logged == list(range(1, 50))
    assert told == []


@pytest.mark.slow
def test_a_run_whose_mlflow_server_accepts_and_never_answers_is_trained_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings = {"GRPO_REPORT_TO": "mlflow", "MLFLOW_TRACKING_URI": address}
        attempt = runs.start(tmp_path, settings, hooks=[WithoutReport()])
        assert attempt.wait() == 0, attempt.said()
    assert attempt.said().count("GRPO_REPORT_TO: mlflow disabled") == 1
    assert read_json(tmp_path / runs.RUN_ID / "summary.json")["steps"]["done"] == 6


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_wandb_without_a_key_is_found(at_home: Path) -> None:
    (said,) = faults(("wandb",), {})
    assert said == (
        "GRPO_REPORT_TO: 'wandb' was given; it has no API key: set WANDB_API_KEY, or WANDB_MODE=offline to keep its "
        "files in the run folder"
    )
    assert faults(("mlflow", "tensorboard"), {}) == []


@pytest.mark.parametrize("key", ["changeme", "your-api-key", "<key>", KEY[:39]])
def test_a_key_that_wandb_would_not_take_is_found(key: str, at_home: Path) -> None:
    (said,) = faults(("wandb",), {"WANDB_API_KEY": key})
    assert "WANDB_API_KEY is not an API key" in said
    assert key not in said


@pytest.mark.parametrize(
    "environment",
    [
        {"WANDB_API_KEY": KEY},
        {"WANDB_API_KEY": f"local-{KEY}"},
        {"WANDB_MODE": "offline"},
        {"WANDB_MODE": "disabled"},
        {"WANDB_IDENTITY_TOKEN_FILE": "/run/token"},
    ],
)
def test_wandb_that_can_log_in_or_need_not_passes(environment: dict[str, str], at_home: Path) -> None:
    assert faults(("wandb",), environment) == []


@pytest.mark.parametrize("host", ["api.wandb.ai", "wandb.example.org"])
def test_a_key_that_wandb_login_kept_is_found(host: str, at_home: Path) -> None:
    (at_home / ".netrc").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    assert faults(("wandb",), {"WANDB_BASE_URL": f"https://{host}"}) == []
    assert len(faults(("wandb",), {"WANDB_BASE_URL": "https://elsewhere.example.org"})) == 1
