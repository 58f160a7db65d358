"""A reward gets by name what it asks for, in its own signature or in TRL's."""

import asyncio
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest

from grpo_job.outcomes import StopNow
from grpo_job.rewards import Reward, RewardFailed, as_trl_function, load
from grpo_job.rewards.batches import batch_of

ROWS = [{"level": 1, "tests": ["a"], "solution": "4"}, {"level": 2.5, "tests": [], "solution": None}]
PROMPT = [{"role": "user", "content": "2 + 2?"}]


def pay(function: Callable[..., Any], *, own: bool = True, **columns: Any) -> list[float | None]:
    """As the trainer calls it, with two completions of two rows."""
    given = {
        "prompts": [PROMPT, PROMPT],
        "completions": [[{"role": "assistant", "content": "It is 4."}], [{"role": "assistant", "content": "5"}]],
        "completion_ids": [[1, 2, 3], [4]],
        "question": ["2 + 2?", "2 + 2?"],
        "answer": ["4", "4"],
        "answers": [["4"], ["4", "five"]],
        "columns": [json.dumps(row) for row in ROWS],
        "trainer_state": object(),
    }
    return as_trl_function(Reward("mine", 1.0, function, own), 5.0)(**(given | columns))


def brief(completion: str, *, longest: int = 5) -> bool:
    return len(completion) <= longest


def by_level(completion: str, answer: str | list[str], level: float, tests: list[str]) -> float:
    return level + len(tests)


def everything(completion: str, **columns: Any) -> float:
    assert columns["prompt"] == PROMPT
    return float(len(columns["completion_ids"]) + (columns["solution"] is None))


def splits_the_prompts(completions: list[Any], prompts: list[Any]) -> list[float]:
    return [float(len(prompt.split())) for prompt in prompts]


def own_names(text: str, gold: str | list[str]) -> bool:
    return isinstance(gold, list)


def prompt_before(prompt: list[dict[str, str]], response: str, gold: str | list[str]) -> float:
    assert prompt == PROMPT
    return float(response == "5" and gold == ["4", "five"])


def question_before(question: str, response: str) -> float:
    return float(question == "2 + 2?" and response == "5")


def trl_reward(completions: list[list[dict[str, str]]], solution: list[str | None], **kwargs: Any) -> list[float]:
    return [
        float(gold is not None and gold in each[0]["content"]) for each, gold in zip(completions, solution, strict=True)
    ]


async def trl_async(prompts: list[Any], completions: list[Any], **kwargs: Any) -> list[float]:
    await asyncio.sleep(0)
    return [float(len(kwargs["level"]))] * len(completions)


async def one_async(completion: str) -> float:
    await asyncio.sleep(0)
    return float(len(completion))


class Wrapping:
    """It has the attributes of a `functools.partial`, with its own meaning."""

    def __init__(self, keywords: Any) -> None:
        self.func, self.keywords = len, keywords

    async def __call__(self, completion: str, answer: str) -> float:
        return float(self.func(completion))


class WrappingBatches(Wrapping):
    async def __call__(self, completions: list[Any], answer: list[str]) -> list[float]:  # type: ignore[override]
        return [float(self.func(each)) for each in completions]


@pytest.mark.parametrize(
    ("function", "paid"),
    [
        (brief, [0.0, 1.0]),
        (by_level, [2.0, 2.5]),
        (everything, [3.0, 2.0]),
        (own_names, [0.0, 1.0]),
        (prompt_before, [0.0, 1.0]),
        (question_before, [0.0, 1.0]),
        (trl_reward, [1.0, 0.0]),
        (trl_async, [2.0, 2.0]),
        (one_async, [8.0, 1.0]),
        (Wrapping(["answer"]), [8.0, 1.0]),
        (Wrapping(None), [8.0, 1.0]),
        (WrappingBatches(["answer"]), [8.0, 1.0]),
        (partial(brief, longest=9), [1.0, 1.0]),
        (lambda completions, **_columns: [float(text[-1] == ".") for text in completions], [1.0, 0.0]),
        (lambda completions, **_columns: [float(text[0] in {"5", "6"}) for text in completions], [0.0, 1.0]),
        (lambda completions, **_columns: [float(text[0].isdigit()) for text in completions], [0.0, 1.0]),
        (lambda completions, prompts: [float("2 + 2" in prompt) for prompt in prompts], [1.0, 1.0]),
        (lambda completion, prompt: float("2 +" in prompt), [1.0, 1.0]),
    ],
)
def test_it_gets_by_name_what_it_asks_for(function: Callable[..., Any], paid: list[float]) -> None:
    assert pay(function) == paid


def test_the_worked_solution_of_a_warm_start_hides_no_column_of_that_name() -> None:
    assert pay(lambda completion, solution: float(solution == "4"), solution=["taught", "taught"]) == [1.0, 0.0]


def test_an_answer_equals_the_number_that_the_rows_have() -> None:
    assert pay(lambda completions, answer, **_columns: [float(each == 4) for each in answer]) == [1.0, 0.0]
    assert pay(lambda completion, answer: float(answer in (4, 5)), answers=[["4"], ["6"]], answer=["4", "6"]) == [1, 0]


@pytest.mark.parametrize(("held", "is_list"), [(["4"], 1.0), ("4", 0.0), (None, 0.0)])
def test_trls_signature_gets_a_list_of_one_answer_where_the_rows_have_lists(held: Any, is_list: float) -> None:
    columns = [json.dumps({"answer": held}), json.dumps({"answer": ["4", "five"]})]
    batch = pay(lambda completions, answer: [float(isinstance(each, list)) for each in answer], columns=columns)
    single = pay(lambda completion, answer: float(isinstance(answer, list)), columns=columns)
    assert (batch, single) == ([is_list, 1.0], [0.0, 1.0])


def test_one_that_fails_tells_the_row() -> None:
    with pytest.raises(RewardFailed, match=r"'It is 4\.' \(answer '4', question '2 \+ 2\?'\)"):
        pay(lambda completion: 1 / 0)


def test_one_of_the_menu_takes_the_best_paid_of_several_right_answers() -> None:
    [correct] = load([("correct", 1.0)])
    texts = ["<answer>4</answer>", "<answer>5</answer>"]
    answers = [["4"], ["4", "5"]]
    assert pay(correct.function, own=False, completions=texts, answers=answers) == [1.0, 1.0]


@pytest.mark.parametrize("score", [np.float32(0.5), np.array(0.5), Decimal("0.5"), np.float64(0.5)])
def test_scalars_of_other_libraries_are_numbers(score: Any) -> None:
    assert pay(lambda completion: score) == [0.5, 0.5]
    assert pay(lambda completions, **_columns: [np.True_, score]) == [1.0, 0.5]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda completion: float("nan"), "returned nan, which is neither"),
        (lambda completion: 1e39, "returned 1e+39, which is neither a finite number"),
        (lambda completion: 10**400, "000, which is neither a finite number"),
        (
            lambda completion: 10**5000,
            "returned an object of type int that cannot be printed, which",
        ),
        (lambda completion: Decimal("sNaN"), "neither a finite number"),
        (lambda completion: np.array([0.5, 1.0]), "neither a finite number"),
        (lambda completions, **_columns: [1.0], "for 2 completions"),
        (lambda completions, **_columns: 1.0, "for 2 completions"),
        (lambda completions, **_columns: {0: 0.5, 1: 1.0}, "returned {0: 0.5, 1: 1.0} for 2 completions"),
        (lambda completions, **_columns: {0.5, 1.0}, "for 2 completions"),
        (lambda completions, **_columns: (1.0 / (len(each) - 1) for each in completions), "raised ZeroDivisionError"),
        (lambda completions, **_columns: (sys.exit(0) for _ in completions), "raised SystemExit: 0 at test_calling.py"),
        (lambda completions, **_columns: (1.0 for _ in completions[1:]), "returned [1.0] for 2 completions"),
        (lambda completion, answer, levle: 1.0, "asks for levle; there are answer, completion"),
        (lambda solution, response: 1.0, "asks for solution, which the row has, and for response, which it has not"),
        (splits_the_prompts, "a prompt is a list of messages and has no 'split'; its text is `question`"),
    ],
)
def test_what_is_no_reward_of_each_completion_is_named(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(RewardFailed, match="reward 'mine'") as failed:
        pay(function)
    assert told in str(failed.value)
    assert "'It is 4.'" in str(failed.value)


def test_one_that_raises_shows_its_own_line() -> None:
    def raises(completion: str) -> float:
        return float(json.loads(completion))

    with pytest.raises(RewardFailed, match=r"raised JSONDecodeError: .* at test_calling.py, line \d+: return float"):
        pay(raises)


def test_a_semaphore_of_the_module_holds_for_all_batches() -> None:
    one_at_a_time = asyncio.Semaphore(1)

    async def judged(completion: str) -> float:
        async with one_at_a_time:
            await asyncio.sleep(0)
        return 1.0

    assert [pay(judged) for _ in range(3)] == [[1.0, 1.0]] * 3


def test_one_that_is_cancelled_is_named() -> None:
    async def cancelled(completion: str) -> float:
        raise asyncio.CancelledError

    with pytest.raises(
        RewardFailed, match=r"reward 'mine' raised CancelledError.* at test_calling.py, line \d+: raise"
    ):
        pay(cancelled)


class Panic(BaseException):
    """As func_timeout's, and those of libraries in Rust."""


def test_one_that_raises_what_is_no_exception_fails_by_name() -> None:
    def panics(completion: str) -> float:
        raise Panic("index out of bounds")

    with pytest.raises(RewardFailed, match=r"reward 'mine' raised Panic: index out of bounds at test_calling.py, line"):
        pay(panics)


@pytest.mark.parametrize("stop", [StopNow, KeyboardInterrupt])
def test_the_stop_of_a_run_is_no_failure_of_the_reward_that_it_meets(stop: type[BaseException]) -> None:
    def asked_to_stop(completion: str) -> float:
        raise stop("SIGTERM")

    with pytest.raises(stop):
        pay(asked_to_stop)


class Unprintable(ValueError):
    """Such as an error whose message is looked up."""

    def __str__(self) -> str:
        raise LookupError("no such message")

    __repr__ = __str__


@pytest.mark.parametrize("returns", [True, False])
def test_what_cannot_be_printed_is_told_by_its_type(returns: bool) -> None:
    def unprintable(completion: str) -> Any:
        if returns:
            return Unprintable()
        raise Unprintable

    with pytest.raises(RewardFailed, match=r"reward 'mine' .*Unprintable"):
        pay(unprintable)


def test_one_that_changes_what_it_is_given_changes_no_row() -> None:
    row = {"prompt": [{"role": "user", "content": "2 + 2?"}], "answer": "4", "answers": ["4", "four"]}

    def talks_on(completion: str, prompt: list[dict[str, str]], answer: list[str]) -> float:
        prompt.append({"role": "assistant", "content": completion})
        answer.remove("four")
        return float(len(prompt))

    call = as_trl_function(Reward("mine", 1.0, talks_on, own=True))
    assert call(**batch_of(row, ["4", "5"])) == [2.0, 2.0]
    assert row == {"prompt": [{"role": "user", "content": "2 + 2?"}], "answer": "4", "answers": ["4", "four"]}


def test_one_that_changes_its_columns_changes_none_of_the_next_reward() -> None:
    batch = {"completions": ["4", "5"], "answer": ["4", "7"], "completion_ids": [[1, 2], [3, 2]], "own": [["a"], []]}

    def prepares_in_place(completions: list[Any], answer: list[Any], completion_ids: Any, own: Any) -> list[float]:
        for ids, words in zip(completion_ids, own, strict=True):
            ids.remove(2)
            words.append("b")
        answer[:] = [int(each) for each in answer]
        completions.reverse()
        return [0.0, 0.0]

    before = json.dumps(batch)
    assert as_trl_function(Reward("mine", 1.0, prepares_in_place, own=True))(**batch) == [0.0, 0.0]
    assert json.dumps(batch) == before


@pytest.mark.parametrize(
    "function",
    [
        lambda completion, completion_ids: len(completion_ids),
        lambda completion, **columns: len(columns["completion_ids"]),
        lambda completions, **kwargs: [len(ids) for ids in kwargs["completion_ids"]],
    ],
)
def test_token_ids_are_counted_where_the_caller_has_none(function: Callable[..., Any]) -> None:
    call = as_trl_function(
        Reward("mine", 1.0, function, own=True), 5.0, lambda texts: [[0] * len(each) for each in texts]
    )
    assert call(completions=["abc"], answer=["4"]) == [3.0]
