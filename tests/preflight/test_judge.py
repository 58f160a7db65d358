"""The reward `judge` is checked with one call, for the answer of a row."""

import json
from typing import Any

import pytest

from grpo_job.inputs import sample
from grpo_job.rewards.judgements import JUDGEMENTS, Judged
from tests.preflight.world import World, rows_of
from tests.servers.judge import judging


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JUDGEMENTS, "known", {})
    monkeypatch.setattr(JUDGEMENTS, "file", None)


def with_judge(world: World, url: str, **options: Any) -> None:
    world.set(REWARDS="judge:1", REWARD_OPTIONS=json.dumps({"judge": {"url": url, "model": "m", **options}}))


def test_a_service_that_scores_passes_with_one_call(world: World) -> None:
    with judging(lambda text: "8") as server:
        with_judge(world, server.url)
        found = world.examine()
    assert found.faults() == []
    assert any("judge pays 0.8 for a row's answer" in finding.sentence for finding in found)
    assert len(server.bodies) == 1


def test_one_that_talks_is_refused_with_what_it_said(world: World) -> None:
    with judging(lambda text: "I would say eight.") as server:
        with_judge(world, server.url, tries=1)
        [failed] = world.failed()
    assert "judge gives no score: the reply is no number from 0 to 10: 'I would say eight.'" in failed.sentence


def test_a_run_that_goes_on_is_only_warned_of_a_busy_hour(world: World) -> None:
    with judging(lambda text: "8", failing=1.0) as server:
        with_judge(world, server.url, tries=1)
        JUDGEMENTS.known["of an earlier attempt"] = Judged(0.5)
        assert any("judge gives no score: HTTP 503" in found.sentence for found in world.warned())


def test_one_that_refuses_the_key_is_told(world: World) -> None:
    with judging(lambda text: "8", failing=1.0, status=401) as server:
        with_judge(world, server.url)
        [failed] = world.failed()
    assert "HTTP 401" in failed.sentence


def test_it_must_end_before_the_rewards_time_is_over(world: World) -> None:
    with_judge(world, "http://127.0.0.1:9/v1", seconds=60)
    [failed] = world.failed()
    assert "GRPO_REWARD_TIMEOUT_SECONDS: 60 was given; judge may take 60" in failed.sentence


def test_a_prompt_that_names_the_answer_needs_rows_with_one(world: World) -> None:
    prompt = world.folder / "prompt.txt"
    prompt.write_text("{answer} or {completion}?")
    questions = [{**row, "answer": ""} for row in rows_of(sample.TRAIN, 100)]
    answered = rows_of(sample.TRAIN, 200)[100:]
    with judging(lambda text: "8") as server:
        with_judge(world, server.url, prompt_file=str(prompt))
        world.rows(train=questions)
        [failed] = world.failed()
        assert "judge would pay nothing: its prompt_file names {answer}, and " in failed.sentence
        world.rows(train=[*questions, *answered])
        assert any("judge pays nothing for some rows" in found.sentence for found in world.warned())
        with_judge(world, server.url)
        assert world.failed() == []
