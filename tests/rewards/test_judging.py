"""The reward `judge`: what it asks, what it takes for a score, what it does where none comes, and what it keeps."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from grpo_job.rewards import RewardFailed, as_trl_function, judging, load
from grpo_job.rewards.judgements import JUDGEMENTS, Judgements
from tests.servers.judge import Judge
from tests.servers.judge import judging as service


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JUDGEMENTS, "known", {})
    monkeypatch.setattr(JUDGEMENTS, "file", None)
    monkeypatch.setattr(JUDGEMENTS, "key", "")
    monkeypatch.setattr(JUDGEMENTS, "calls", 0)
    monkeypatch.setattr(JUDGEMENTS, "tokens", 0)
    monkeypatch.setattr(judging, "PAUSE", 0.001)


@pytest.fixture
def five() -> Iterator[Judge]:
    with service(lambda text: "5") as server:
        yield server


def paid(server: Judge, completions: list[str], columns: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    [reward] = load([("judge", 1.0)], options={"judge": {"url": server.url, "model": "m", **options}})
    answers = {"answer": [str(number) for number in range(len(completions))]}
    return as_trl_function(reward, 60)(completions=completions, **{**answers, **(columns or {})})


def test_it_pays_the_score_as_a_share_of_the_highest(five: Judge) -> None:
    assert paid(five, ["a", "b"]) == [0.5, 0.5]
    assert paid(five, ["c"], highest=5) == [1.0]


def test_it_asks_with_question_answer_and_completion_and_the_key(five: Judge) -> None:
    JUDGEMENTS.key = "sk-secret"
    paid(five, ["{answer} is it"], {"question": ["2 + 2?"], "answer": [["4", "four"]]})
    [body], [key] = five.bodies, five.keys
    asked = body["messages"][0]["content"]
    assert "Question:\n2 + 2?\n" in asked
    assert "if there is one:\n4 or four\n" in asked
    assert "The student's answer:\n{answer} is it\n" in asked
    assert (body["model"], body["temperature"], key) == ("m", 0, "Bearer sk-secret")


def test_its_prompt_is_a_file_that_may_name_any_column(five: Judge, tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text('{"kind": "{kind}", "of": {highest}} {completion} {prompts} {unknown}')
    paid(five, ["a"], {"kind": ["poem"], "prompts": [[{"role": "user", "content": "?"}]]}, prompt_file=str(file))
    assert five.bodies[0]["messages"][0]["content"] == '{"kind": "poem", "of": 10} a {prompts} {unknown}'


def test_a_column_of_the_rows_does_not_take_the_place_of_an_option(five: Judge) -> None:
    assert paid(five, ["a"], {"model": ["another"], "url": ["nowhere"]}) == [0.5]
    assert five.bodies[0]["model"] == "m"


@pytest.mark.parametrize("reply", ["five", "5/10", "11", "-1", "Score: 5", "", "5 of 10", "nan", "1e1", "٥"])
def test_a_reply_that_is_no_number_in_range_pays_nothing_and_is_counted(reply: str) -> None:
    with service(lambda text: reply) as server:
        assert paid(server, ["a"], tries=2) == [None]
    totals = JUDGEMENTS.totals()
    assert (totals["judged"], totals["failed"], totals["calls"]) == (0, 1, 2)
    assert "no number from 0 to 10" in totals["last_failure"]


def test_a_service_that_fails_at_times_is_asked_again() -> None:
    with service(lambda text: "10", failing=0.3) as server:
        assert paid(server, [str(n) for n in range(40)], tries=9) == [1.0] * 40
    assert JUDGEMENTS.totals()["calls"] > 40


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.002), ("-1", 0.002)])
def test_a_service_that_says_when_to_ask_again_is_asked_then(
    asked: str, waited: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(judging, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    with service(lambda text: "10", failing=1.0, status=429, retry_after=asked) as server:
        assert paid(server, ["a"], tries=2) == [None]
    assert slept == [waited]


@pytest.mark.parametrize("usage", [b"1e999", b"-1e999", b"9" * 5000, b"[" * 100_000])
def test_a_reply_that_python_cannot_read_is_no_judgement(usage: bytes) -> None:
    said = b'{"choices": [{"message": {"content": "5"}}], "usage": {"total_tokens": %s}}' % usage
    asked = judging.Service("http://judge/v1", "m", 10.0, 1.0, 1, 1, None, None)
    call = judging._Call(asked, None, asyncio.Semaphore(), 0.0, "text")
    assert call._score(httpx.Response(200, content=said)) is None
    assert call.failure.startswith("the reply is no chat completion: {")


def test_one_that_always_fails_pays_nothing() -> None:
    with service(lambda text: "10", failing=1.0) as server:
        assert paid(server, ["a", "b"], tries=2) == [None, None]
    assert JUDGEMENTS.totals()["last_failure"].startswith("HTTP 503")


def test_one_that_is_late_pays_nothing() -> None:
    with service(lambda text: "10", seconds=5) as server:
        assert paid(server, ["a"], seconds=0.2) == [None]
    assert JUDGEMENTS.totals()["last_failure"] == "no reply in time"


def test_nobody_there_pays_nothing() -> None:
    with service(lambda text: "10") as server:
        pass
    assert paid(server, ["a"], tries=2) == [None]
    assert JUDGEMENTS.totals()["last_failure"].startswith("ConnectError")


def test_one_that_refuses_for_good_fails_the_reward() -> None:
    with service(lambda text: "10", failing=1.0, status=401) as server, pytest.raises(RewardFailed, match="HTTP 401"):
        paid(server, ["a"])


def test_all_of_a_batch_are_asked_at_once() -> None:
    with service(lambda text: "10", seconds=0.5) as server:
        paid(server, [str(n) for n in range(16)])
        assert server.most_at_once == 16
        paid(server, [str(n) for n in range(20, 30)], concurrency=2)
        assert len(server.bodies) == 26


def test_what_is_known_is_not_asked_again(five: Judge, tmp_path: Path) -> None:
    JUDGEMENTS.keep_in(tmp_path / "judged.jsonl")
    assert paid(five, ["a", "a", "b"], {"answer": ["1"] * 3}) == [0.5] * 3
    assert len(five.bodies) == 2
    again = Judgements()
    again.keep_in(tmp_path / "judged.jsonl")
    assert again.known == JUDGEMENTS.known
    assert again.totals() == {"judged": 2, "failed": 0, "calls": 2, "tokens": 20, "last_failure": None}


@pytest.mark.parametrize(
    ("budget", "told"), [({"most_calls": 3}, "3 of 3 calls"), ({"most_tokens": 25}, "30 of 25 tok")]
)
def test_a_budget_that_is_spent_fails_the_reward_and_keeps_what_was_judged(
    budget: dict[str, int], told: str, five: Judge
) -> None:
    with pytest.raises(RewardFailed, match=f"its budget is spent: {told}"):
        paid(five, ["a", "b", "c", "d", "e"], concurrency=1, **budget)
    assert len(JUDGEMENTS.known) == len(five.bodies) == 3


def test_without_an_address_it_says_what_to_set() -> None:
    [reward] = load([("judge", 1.0)])
    with pytest.raises(RewardFailed, match=r'it needs GRPO_REWARD_OPTIONS=\{"judge": \{"url"'):
        as_trl_function(reward, 60)(completions=["a"], answer=["1"])


def test_a_row_without_what_its_prompt_names_is_not_asked_for_and_pays_none(five: Judge, tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Right: {answer}, by {rubric}. Answer: {completion}")
    columns = {"answer": ["4", " ", "4", "4"], "rubric": ["form", "form", None, "form"]}
    assert paid(five, ["a", "b", "c", ""], columns, prompt_file=str(file)) == [0.5, None, None, 0.5]
    assert len(five.bodies) == 2
    totals = JUDGEMENTS.totals()
    assert (totals["judged"], totals["failed"]) == (2, 2)
    assert totals["last_failure"] == "the row has no rubric, which its prompt_file names"
    assert paid(five, ["b"], {"answer": [""]}) == [0.5]  # our own prompt says that there may be none
