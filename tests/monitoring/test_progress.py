"""The three forms of the log, and that no secret is in any."""

import doctest
import json
import re
import threading
from datetime import datetime

import pytest

from grpo_job.monitoring import bar, figures, progress
from grpo_job.monitoring.progress import Progress
from grpo_job.settings.redaction.redactor import REDACTOR

METRICS = {"reward": 1.0, "reward_std": 0.5, "completions/mean_length": 187.4, "eval_accuracy": 0.45}
FIGURES = (
    "step 2/3  reward 1.000 ± 0.500", "0:01:10 left", "accuracy 45.0%", "length 187", "0:00:00 elapsed", "$0.42",
)  # fmt: skip
CONTROL, COLOUR = re.compile(r"\x1b\[\??[\d;]*[A-Za-z]"), re.compile(r"\x1b\[([\d;]*)m[^\x1b]*\w")
STEP = ", ".join(FIGURES)


def told(log_format: str, capfd: pytest.CaptureFixture[str]) -> str:
    REDACTOR.know(["hf_secret_token"])
    shown = Progress(log_format, run_id="run-1")
    with shown.phase("train", "training 3 steps"):
        shown.step(2, 3, METRICS, seconds_left=70, cost=0.42)
        shown.warn("hf_secret_token [bold] was refused")
    shown.closing(["done"])
    assert shown.seconds["train"] > 0
    return capfd.readouterr().out


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "140", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)


def test_doctests() -> None:
    assert doctest.testmod(figures).failed == doctest.testmod(bar).failed == 0


def test_a_bar_stands_before_the_step_on_a_terminal(terminal: None, capfd: pytest.CaptureFixture[str]) -> None:
    out = told("auto", capfd)
    assert "━" in out
    assert f" {STEP}" in out
    assert "warning: [secret] [bold] was refused" in out


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (40, "step 2/3  reward 1.000 ± 0.500"),
        (60, "step 2/3  reward 1.000 ± 0.500, 0:01:10 left"),
        (80, "━━━━━━━━ step 2/3  reward 1.000 ± 0.500, 0:01:10 left, accuracy 45.0%"),
        (100, "━━━━━━━━ step 2/3  reward 1.000 ± 0.500, 0:01:10 left, accuracy 45.0%, length 187"),
    ],
)
def test_a_narrow_terminal_has_the_first_figures_whole_with_room_for_a_key_that_it_shows(
    columns: int, line: str, terminal: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    drawn = CONTROL.sub("", told("auto", capfd))
    (step,) = {part.strip() for part in re.split(r"[\r\n]", drawn) if "step 2/3" in part}
    assert step.replace("╺", "━").endswith(line)
    assert ", ".join(FIGURES).startswith(step[step.index("step 2/3") :])
    assert len(step) <= columns - len("^C^C")


def test_a_terminals_lines_break_between_words(
    terminal: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Progress("auto").say("probe of the base: 14 of 16 groups have a non-zero reward std")
    assert capfd.readouterr().out == "probe of the base: 14 of 16 groups have\na non-zero reward std\n"


def test_no_word_at_a_terminal_is_yellow_or_white_or_dim_for_its_background_may_be_white(
    terminal: None, capfd: pytest.CaptureFixture[str]
) -> None:
    drawn = COLOUR.findall(told("auto", capfd))
    assert "35" in drawn
    assert not {"33", "93", "37", "97", "2"} & set(drawn)


def test_the_seconds_of_a_phase_count_while_it_lasts() -> None:
    shown = Progress("plain")
    shown.count_from({"train": 100.0})
    with shown.phase("train", "training"):
        assert shown.so_far()["train"] > 100
        assert shown.seconds["train"] == 100
    assert shown.so_far() == shown.seconds
    assert shown.seconds["train"] > 100


def test_a_phase_of_unknown_length_shows_its_time_on_a_terminal(
    terminal: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with Progress("auto").phase("load", "loading"):
        pass
    assert "0:00:00" in capfd.readouterr().out


def test_answers_of_an_evaluation_are_counted_on_a_terminal(terminal: None, capfd: pytest.CaptureFixture[str]) -> None:
    shown = Progress("auto")
    with shown.phase("evaluate", "evaluating"):
        shown.count(50, 200)
    assert "50/200 answers, 0:00:00 left, 0:00:00 elapsed" in capfd.readouterr().out


def test_the_cursor_of_a_terminal_is_never_hidden(terminal: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Who is killed, or ends at a second Ctrl-C, could not show it again."""
    assert "\x1b[?25l" not in told("rich", capfd)


def test_plain_lines_begin_with_the_time(capfd: pytest.CaptureFixture[str]) -> None:
    lines = told("plain", capfd).splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "training 3 steps", STEP, "warning: [secret] [bold] was refused", "done",
    ]  # fmt: skip


def test_a_quiet_phase_says_how_far_it_is(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.01)
    shown, heard = Progress("json"), threading.Event()
    say = shown.say

    def listening(text: str, **fields: object) -> None:
        say(text, **fields)  # type: ignore[arg-type]
        if fields.get("event") == "progress":
            heard.set()

    monkeypatch.setattr(shown, "say", listening)
    with shown.phase("evaluate", "evaluating the base"):
        shown.count(50, 200)
        assert heard.wait(60)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    found = next(line for line in lines if line["event"] == "progress")
    assert found["message"].startswith("evaluating the base: 50/200 answers, ")
    assert (found["done"], found["total"]) == (50, 200)


def test_json_has_an_object_a_line_with_its_event(capfd: pytest.CaptureFixture[str]) -> None:
    lines = phase, step, warning, closing = [json.loads(line) for line in told("json", capfd).splitlines()]
    assert (phase["event"], phase["phase"]) == ("phase", "train")
    assert (step["step"], step["planned"], step["metrics"]) == (2, 3, METRICS)
    assert (step["message"], step["seconds_left"], step["cost"]) == (STEP, 70, 0.42)
    assert (warning["event"], closing["message"]) == ("warning", "done")
    assert [line["level"] for line in lines] == ["info", "info", "warning", "info"]
    assert {line["run_id"] for line in lines} == {"run-1"}
    for line in lines:
        assert datetime.fromisoformat(line["timestamp"]).timestamp() == pytest.approx(line["time"], abs=0.01)
