"""The three forms of the log, and that no secret is in any."""

import json

import pytest

from grpo_job.monitoring.progress import Progress
from grpo_job.settings.redaction.redactor import REDACTOR

METRICS = {"reward": 1.0, "reward_std": 0.5}


def told(log_format: str, capfd: pytest.CaptureFixture[str]) -> str:
    REDACTOR.know(["hf_secret_token"])
    progress = Progress(log_format)
    with progress.phase("train", "training 3 steps"):
        progress.step(2, 3, METRICS, seconds_left=70)
        progress.warn("hf_secret_token [bold] was refused")
    progress.closing(["done"])
    assert progress.seconds["train"] > 0
    return capfd.readouterr().out


def test_a_bar_stands_before_the_step_on_a_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    out = told("auto", capfd)
    assert "━" in out
    assert " step 2/3  reward 1.000 ± 0.500, 0:01:10 left" in out
    assert "warning: [secret] [bold] was refused" in out


def test_plain_lines_begin_with_the_time(capfd: pytest.CaptureFixture[str]) -> None:
    lines = told("plain", capfd).splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "training 3 steps",
        "step 2/3  reward 1.000 ± 0.500, 0:01:10 left",
        "warning: [secret] [bold] was refused",
        "done",
    ]


def test_json_has_an_object_a_line_with_its_event(capfd: pytest.CaptureFixture[str]) -> None:
    phase, step, warning, closing = map(json.loads, told("json", capfd).splitlines())
    assert (phase["event"], phase["phase"]) == ("phase", "train")
    assert (step["step"], step["planned"], step["metrics"]) == (2, 3, METRICS)
    assert (warning["event"], closing["message"]) == ("warning", "done")
