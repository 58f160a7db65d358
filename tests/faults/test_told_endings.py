"""Who is told how a real run ends, whatever ends it: one POST to a real server, and the `end` event of the log."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport
from tests.faults.small_files import SETTINGS
from tests.servers.hook import PATH, Hook, hook

BEFORE_ANY_ATTEMPT = {"GRPO_LEARNING_RATE": "fast"}
BEFORE_TRAINING = {"GRPO_MODEL": "/no/such/model"}


def end_of(attempt: runs.Attempt, code: int) -> dict[str, Any]:
    """The `end` event of an attempt that ends with this code; it is the last one, and the only one."""
    assert attempt.wait() == code, attempt.said()
    events = [json.loads(line) for line in attempt.said().splitlines() if line.startswith("{")]
    assert [event["event"] for event in events if event.get("event") == "end"] == ["end"]
    assert events[-1]["event"] == "end"
    assert PATH not in attempt.said()
    found: dict[str, Any] = events[-1]
    return found


def started(folder: Path, server: Hook, *hooks: runs.Hook, **settings: str) -> runs.Attempt:
    given = {**SETTINGS, "GRPO_NOTIFY_URL": server.url, **settings}
    return runs.start(folder, given, hooks=[WithoutReport(), *hooks])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [BEFORE_ANY_ATTEMPT, BEFORE_TRAINING])
def test_a_run_that_is_refused_is_told(settings: dict[str, str], tmp_path: Path) -> None:
    with hook() as server:
        end = end_of(started(tmp_path, server, **settings), 2)
    (body,) = server.bodies
    assert (end["exit_code"], end["state"], end["level"], end["notified"]) == (2, "refused", "error", True)
    assert (body["exit_code"], body["state"]) == (2, "refused")
    assert next(iter(settings)) in body["reason"]
    assert next(iter(settings)) in body["text"]


@pytest.mark.slow
def test_a_finished_run_is_told_with_its_figures(tmp_path: Path) -> None:
    published = f"file://{tmp_path / 'published'}"
    with hook() as server:
        end = end_of(started(tmp_path, server, GRPO_PUBLISH_TO=published), 0)
    (body,) = server.bodies
    for told in (end, body):
        assert (told["run_id"], told["state"], told["exit_code"], told["model"]) == ("run", "finished", 0, "sample")
        assert (told["published"], told["steps"], told["planned"]) == ([published], 3, 3)
        assert 0 <= told["before"] <= 1 >= told["after"] >= 0
        assert told["verdict"] == "not judged"
    assert f"published: {published}" in body["text"]
    assert not list(tmp_path.rglob(f"*{PATH[-10:]}*"))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PATH.encode() not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.parametrize("stalls", [False, True])
def test_a_stop_is_told_and_a_server_that_stalls_changes_nothing(stalls: bool, tmp_path: Path) -> None:
    with hook(stalls=stalls) as server:
        end = end_of(started(tmp_path, server, SignalAfterStep(1), GRPO_MAX_STEPS="50", GRPO_GRACE_SECONDS="20"), 75)
        assert len(server.bodies) == 1
    assert (end["state"], end["level"], end["notified"]) == ("interrupted", "warning", not stalls)
    assert server.bodies[0]["exit_code"] == 75
    assert (tmp_path / runs.RUN_ID / "summary.json").is_file()
