"""The `end` event: the last line of a log of JSON, once, with all that a script needs."""

import json
import threading
from datetime import datetime
from pathlib import Path
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


@pytest.mark.parametrize("where", ["a file of the settings", "switched off by the settings"])
def test_the_address_is_the_one_of_the_settings(where: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with hook() as server:
        (tmp_path / "hook").write_text(server.url)
        from_file = where == "a file of the settings"
        settings = Settings(log_format="json", notify_url_path=str(tmp_path / "hook") if from_file else None)
        told(capfd, Outcome(0, "finished", ""), FACTS, settings, GRPO_NOTIFY_URL="" if from_file else server.url)
    assert len(server.bodies) == from_file


def test_a_thread_that_ends_the_process_waits_until_all_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    with hook(stalls=True) as server:
        ending = Ending({"GRPO_NOTIFY_URL": server.url}, dict)
        threads = [threading.Thread(target=ending.tell, args=(Outcome(0, "finished", ""),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not server.bodies:
            threads[0].join(0.01)
        assert all(thread.is_alive() for thread in threads)
        server.answers.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert len(server.bodies) == 1


def test_a_signal_that_comes_in_the_thread_that_tells_is_no_deadlock(capfd: pytest.CaptureFixture[str]) -> None:
    ending = Ending({"GRPO_LOG_FORMAT": "json"}, dict)
    ending.facts = lambda: ending.tell(Outcome(75, "interrupted", "")) or {}  # type: ignore[func-returns-value]
    ending.tell(Outcome(0, "finished", ""))
    assert len(capfd.readouterr().out.splitlines()) == 1


def test_odd_facts_are_a_line_and_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    Ending({}, lambda: {}["accuracy"]).tell(Outcome(0, "finished", ""))
    assert capfd.readouterr().err == "grpo-job: the end was not told: KeyError: 'accuracy'\n"


def test_a_plain_log_has_no_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, Outcome(0, "finished", ""), FACTS, Settings(log_format="plain")) == []
