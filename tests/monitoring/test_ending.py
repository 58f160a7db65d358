"""The `end` event: the last line of a log of JSON, once, with all that a script needs."""

import json
from datetime import datetime
from typing import Any

import pytest

from grpo_job.monitoring.ending import Ending
from grpo_job.outcomes import Outcome
from grpo_job.settings.schema import Settings
from tests.servers.hook import hook

FACTS = {"run_id": "run-1", "model": "sample", "before": 0.3, "after": 0.8, "steps": 6, "published": []}


def told(
    capfd: pytest.CaptureFixture[str], outcome: Outcome, facts: dict[str, Any], settings: Settings | None, **given: str
) -> list[dict[str, Any]]:
    ending = Ending({"GRPO_LOG_FORMAT": "json", **given}, lambda: facts)
    ending.settings = settings
    for _ in range(2):
        ending.tell(outcome)
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_it_is_one_line_with_all_that_is_known(capfd: pytest.CaptureFixture[str]) -> None:
    (line,) = told(capfd, Outcome(0, "finished", "all is well"), FACTS, None)
    assert (line["event"], line["level"], line["message"]) == ("end", "info", "all is well")
    assert FACTS.items() <= line.items()
    assert (line["exit_code"], line["state"], line["notified"]) == (0, "finished", None)
    assert datetime.fromisoformat(line["timestamp"]).timestamp() == pytest.approx(line["time"], abs=0.01)


@pytest.mark.parametrize(("code", "level"), [(75, "warning"), (2, "error"), (1, "error")])
def test_its_level_follows_the_exit_code(code: int, level: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, Outcome(code, "ended", "so"), {}, None)[-1]["level"] == level


def test_without_an_attempt_it_has_what_the_settings_say(capfd: pytest.CaptureFixture[str]) -> None:
    settings = Settings(log_format="json", run_id="mine", model="other")
    (line,) = told(capfd, Outcome(2, "refused", "no such model"), {}, settings)
    assert (line["run_id"], line["model"], line["exit_code"]) == ("mine", "other", 2)


def test_a_warning_of_the_post_comes_before_it(capfd: pytest.CaptureFixture[str]) -> None:
    with hook(404) as server:
        warning, end = told(capfd, Outcome(0, "finished", ""), FACTS, None, GRPO_NOTIFY_URL=server.url)
    assert (warning["event"], warning["level"], warning["run_id"]) == ("warning", "warning", "run-1")
    assert (end["event"], end["notified"]) == ("end", False)
    assert len(server.bodies) == 1


def test_a_plain_log_has_no_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, Outcome(0, "finished", ""), FACTS, Settings(log_format="plain")) == []
