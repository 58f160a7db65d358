"""A table of rows as people have them: the prompts letter by letter and the answers, or a refusal in words."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from grpo_job.inputs.row_values import Unreadable, asked, at, golds
from tests.inputs.row_files import cache_of_its_own, jsonl, load, parquet, refusal

__all__ = ["cache_of_its_own"]

SYSTEM = {"role": "system", "content": "Think."}
USER = {"role": "user", "content": "2 + 2?"}
REPLY = {"role": "assistant", "content": "4"}
GPT = [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}]
TALK = [USER, REPLY, {"role": "user", "content": "And 3 + 3?"}]


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ("2 + 2?", [SYSTEM, USER]),
        ("  2 + 2?\n", [SYSTEM, USER]),
        ([USER], [SYSTEM, USER]),
        ([USER, REPLY], [SYSTEM, USER]),
        ([{"role": "system", "content": "Own."}, USER], [{"role": "system", "content": "Own."}, USER]),
        ([{"role": "system", "content": " "}, USER], [SYSTEM, USER]),
        (GPT, [SYSTEM, USER]),
        (TALK, [SYSTEM, *TALK]),
        ('[{"role": "user", "content": "2 + 2?"}]', [SYSTEM, USER]),
        ([{"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]}], [SYSTEM, USER]),
        ({"role": ["user"], "content": ["2 + 2?"]}, [SYSTEM, USER]),
        (7, [SYSTEM, {"role": "user", "content": "7"}]),
        ("[{x} for x in role]", [SYSTEM, {"role": "user", "content": "[{x} for x in role]"}]),
        ("", []),
        (None, []),
        (float("nan"), []),
        ([], []),
        ([REPLY], []),
        ([SYSTEM], []),
    ],
)
def test_a_prompt_becomes_these_messages(value: Any, messages: list[dict[str, str]]) -> None:
    assert asked(value, "Think.").messages == messages


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"text": "2 + 2?"}, "a dictionary with text"),
        (["2 + 2?"], "a list of str"),
        (b"2 + 2?", "bytes"),
        ([{"role": "tool", "content": "4"}], "the role 'tool'"),
        ([{"input": "4", "output": 5}], "a list of dictionaries with input, output"),
        ([{"role": None, "content": "4"}], "the role None"),
        ([{"role": "user", "content": {"a": 1}}], "a dictionary with a as its content"),
        ([{"role": "user", "content": [{"type": "image"}]}], "a list of dict as its content"),
        ("[{'role': 'user', 'content': '2 + 2?'}]", "as Python prints it"),
        ([USER, SYSTEM], "ends with one of system"),
    ],
)
def test_what_is_no_prompt_is_named(value: Any, told: str) -> None:
    with pytest.raises(Unreadable, match=r".") as refused:
        asked(value)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("value", "answers"),
    [
        ("72", ["72"]),
        (72, ["72"]),
        (7.5, ["7.5"]),
        (1.1 * 3, ["3.3"]),
        (-14.850000000000001, ["-14.85"]),
        (3.141592653589793, ["3.141592653589793"]),
        (1 / 7, ["0.14285714285714285"]),
        (12345678901234568.0, ["1.2345678901234568e+16"]),
        (float("inf"), ["inf"]),
        (Decimal("7.50"), ["7.50"]),
        (True, ["true"]),
        (False, ["false"]),
        ("work #### 72", ["72"]),
        ("so \\boxed{1}, thus \\boxed{\\frac{1}{2}}.", ["\\frac{1}{2}"]),
        ("\\boxed{1}, then \\boxed{2", ["1"]),
        ("\\boxed{1} #### 2", ["2"]),
        ("so \\boxed {1}.", ["1"]),
        ("so \\fbox{\\frac{1}{2}}.", ["\\frac{1}{2}"]),
        ("so \\boxed{\\left\\{ 1 \\right.}.", ["\\left\\{ 1 \\right."]),
        ("work #### 72\nThe answer is: 72", ["72"]),
        ("work ####\n72", ["72"]),
        ("work #### Rome\nParis", ["Rome\nParis"]),
        ("<think>\nhm\n</think>\n<answer> 3 </answer>", ["3"]),
        ("so <answer>\\boxed{3}</answer>", ["3"]),
        ("<think>\n1 + 2\n</think>\n\nIt is 3.", ["It is 3."]),
        ("<think>\n\\boxed{2}? #### 2?\n</think>\n\n3", ["3"]),
        ("<think>\n1 + 2 and", []),
        ("<answer>", ["<answer>"]),
        (["72", 72, "seventy-two"], ["72", "seventy-two"]),
        (["", None, "72"], ["72"]),
        (GPT, ["4"]),
        ([USER, {"role": "assistant", "content": "#### 4"}], ["4"]),
        ([REPLY], ["4"]),
        (json.dumps(GPT), ["4"]),
        ('[{"content": "so \\\\boxed{4}", "role": "assistant"}]', ["4"]),
        ('[{"from": "Bonn", "to": "Rome"}]', ['[{"from": "Bonn", "to": "Rome"}]']),
        (None, []),
        ("", []),
        ("  ", []),
        (float("nan"), []),
        ([], []),
        ([None], []),
        ([USER], []),
    ],
)
def test_an_answer_becomes_these_texts(value: Any, answers: list[str]) -> None:
    assert golds(value) == answers


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"value": "72"}, "a dictionary with value"),
        ([["72"]], "a list of a list of str"),
        ([True, False, True], "a list with true and false, which cannot both be right"),
        (b"72", "bytes"),
        (str(GPT), "as Python prints it"),
    ],
)
def test_what_is_no_answer_is_named(value: Any, told: str) -> None:
    with pytest.raises(Unreadable) as refused:
        golds(value)
    assert told in str(refused.value)


def test_a_column_with_a_dot_in_its_name_is_itself() -> None:
    assert at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert at({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert at({"a": 1}, "a.b") is None


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_verls_nested_rows_are_read(write: Any, tmp_path: Path) -> None:
    rows = [
        {"prompt": [{"role": "user", "content": f"What is {n}?"}], "reward_model": {"ground_truth": str(n)}, "level": n}
        for n in range(20)
    ]
    suffix = "parquet" if write is parquet else "jsonl"
    found = load(
        write(tmp_path / f"rows.{suffix}", rows),
        prompt_column="prompt",
        answer_column="reward_model.ground_truth",
    )
    row = next(each for each in (*found.train, *found.held_out) if each["question"] == "What is 7?")
    assert (row["prompt"], row["answer"], row["answers"]) == (rows[7]["prompt"], "7", ["7"])
    assert '"level": 7' in row["columns"]


def test_sharegpts_last_turn_is_the_answer_and_never_in_the_prompt(tmp_path: Path) -> None:
    rows = [
        {"conversations": [{"from": "human", "value": f"{n} + 1?"}, {"from": "gpt", "value": f"{n + 1}"}]}
        for n in range(20)
    ]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    found = load(path, prompt_column="conversations", answer_column="conversations")
    assert all(len(row["prompt"]) == 1 and row["answer"] for row in found.train)
    assert "GRPO_ANSWER_COLUMN=conversations takes the last assistant turn" in refusal(
        path, prompt_column="conversations"
    )


def test_a_bad_row_is_named_by_number_type_and_columns(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": {"value": str(n)}} for n in range(20)]
    told = refusal(jsonl(tmp_path / "rows.jsonl", rows))
    assert told.startswith(
        "GRPO_ANSWER_COLUMN: 'answer' was given; in row 1 it holds a dictionary with value; allowed:"
    )
    assert told.endswith("The columns are question, answer")


def test_rows_need_an_answer_only_where_one_is_asked_for(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"question": f"q{n}"} for n in range(20)])
    assert "GRPO_ANSWER_COLUMN" in refusal(path)
    found = load(path, needs_gold=False)
    assert len(found.train) == 18
    assert found.train[0]["answer"] == ""
