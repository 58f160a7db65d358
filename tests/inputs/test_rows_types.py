"""A table of cells in files as people have them: their golds, the count of rows without one, or a refusal by type."""

import datetime
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pytest

from grpo_job.inputs.dataset import Rows
from tests.inputs.row_files import (
    Build,
    Refused,
    Row,
    arrow,
    as_csv,
    as_json,
    assert_refused,
    cache_of_its_own,
    file,
    given,
    jsonl,
    load,
    parquet,
    problems,
    saved_to_disk,
    two_files,
)

__all__ = ["cache_of_its_own"]


def as_rows(column: str, values: list[Any]) -> list[Row]:
    return [{"question": f"q{number}", column: value} for number, value in enumerate(values)]


TALK = [{"role": "user", "content": "q0"}, {"role": "assistant", "content": "so #### 4"}]
SHAREGPT = [{"from": "human", "value": "q0"}, {"from": "gpt", "value": "4"}]
NESTED = [{"question": "q0", "reward_model": {"ground_truth": "4", "style": "rule"}}]
INSIDE = {"answer_column": "reward_model.ground_truth"}
IN_TALK = {"prompt_column": "talk", "answer_column": "talk"}
DAY = datetime.date(2026, 11, 27)
NARROW = as_rows("answer", [numpy.float32(0.1), numpy.float32(2.5), numpy.float32(123456792)])  # the last is exact
DIGITS = [["0.1"], ["2.5"], ["123456792.0"]]
GOLDS: list[tuple[str, Callable[[Path], Path], Mapping[str, Any], list[list[str]], int]] = [
    (
        "mixed types",
        lambda f: jsonl(f / "r.jsonl", as_rows("answer", [4, "4", 4.5, True, "x"])),
        {},
        [["4"], ["4"], ["4.5"], ["true"], ["x"]],
        0,
    ),
    (
        "several right ones",
        lambda f: jsonl(f / "r.jsonl", as_rows("answer", [["4", 4.0], ["IV"]])),
        {},
        [["4", "4.0"], ["IV"]],
        0,
    ),
    (
        "several in parquet",
        lambda f: parquet(f / "r.parquet", as_rows("answer", [["4", "four"], ["IV"]])),
        {},
        [["4", "four"], ["IV"]],
        0,
    ),
    (
        "null, NaN and empty",
        lambda f: file(
            f / "r.json",
            b'[{"question": "q0", "answer": "4"},'
            b'{"question": "q1", "answer": null}, {"question": "q2", "answer": NaN}, {"question": "q3", "answer": " "},'
            b'{"question": "q4"}, {"question": "q5", "answer": []}, {"question": "q6", "answer": "work ####"}]',
        ),
        {},
        [["4"]],
        6,
    ),
    (
        "NaN in parquet",
        lambda f: parquet(f / "r.parquet", as_rows("answer", [4.5, float("nan"), None])),
        {},
        [["4.5"]],
        2,
    ),
    ("empty cells of a csv", lambda f: as_csv(f / "r.csv", as_rows("answer", ["4", "", " "])), {}, [["4"]], 2),
    ("NaN in a csv", lambda f: as_csv(f / "r.csv", as_rows("answer", ["4", "NaN", "nan"])), {}, [["4"]], 2),
    ("numbers of a csv", lambda f: as_csv(f / "r.csv", as_rows("answer", ["4", "-12"])), {}, [["4"], ["-12"]], 0),
    ("zeros of a csv", lambda f: as_csv(f / "r.csv", as_rows("answer", ["04", "1.50"])), {}, [["04"], ["1.50"]], 0),
    ("sums of a csv", lambda f: as_csv(f / "r.csv", as_rows("answer", [0.1 + 0.2, 2.5])), {}, [["0.3"], ["2.5"]], 0),
    (
        "decimals in parquet",
        lambda f: parquet(f / "r.parquet", as_rows("answer", [Decimal("4.50")])),
        {},
        [["4.50"]],
        0,
    ),
    ("32 bits in parquet", lambda f: parquet(f / "r.parquet", NARROW), {}, DIGITS, 0),
    ("32 bits in arrow", lambda f: arrow(f / "r.arrow", NARROW), {}, DIGITS, 0),
    ("32 bits saved to disk", lambda f: saved_to_disk(f / "r", NARROW), {}, DIGITS, 0),
    ("dates beside", lambda f: parquet(f / "r.parquet", [{"question": "q0", "answer": 4, "day": DAY}]), {}, [["4"]], 0),
    (
        "bytes beside",
        lambda f: parquet(f / "r.parquet", [{"question": "q0", "answer": 4, "raw": b"x"}]),
        {},
        [["4"]],
        0,
    ),
    ("messages", lambda f: jsonl(f / "r.jsonl", [{"talk": TALK}]), IN_TALK, [["4"]], 0),
    ("messages in parquet", lambda f: parquet(f / "r.parquet", [{"talk": TALK}]), IN_TALK, [["4"]], 0),
    (
        "messages in a csv",
        lambda f: as_csv(f / "r.csv", [{"talk": json.dumps(TALK)}]),
        {"prompt_column": "talk"},
        [[]],
        0,
    ),
    ("ShareGPT", lambda f: as_json(f / "r.json", [{"talk": SHAREGPT}]), IN_TALK, [["4"]], 0),
    ("one chat alone", lambda f: jsonl(f / "r.json", [{"talk": TALK}]), IN_TALK, [["4"]], 0),
    ("ShareGPT saved to disk", lambda f: saved_to_disk(f / "r", [{"talk": SHAREGPT}]), IN_TALK, [["4"]], 0),
    ("a column in another", lambda f: jsonl(f / "r.jsonl", NESTED), INSIDE, [["4"]], 0),
    ("in parquet", lambda f: parquet(f / "r.parquet", NESTED), INSIDE, [["4"]], 0),
    ("in arrow", lambda f: arrow(f / "r.arrow", NESTED), INSIDE, [["4"]], 0),
    ("a dot in a name", lambda f: as_csv(f / "r.csv", as_rows("a.b", ["4"])), {"answer_column": "a.b"}, [["4"]], 0),
]


@pytest.mark.parametrize(
    ("build", "settings", "golds", "without"), [case[1:] for case in GOLDS], ids=[c[0] for c in GOLDS]
)
def test_every_type_gives_its_golds_and_rows_without_one_are_counted(
    build: Callable[[Path], Path], settings: Mapping[str, Any], golds: list[list[str]], without: int, tmp_path: Path
) -> None:
    column = settings.get("prompt_column", "question")
    held_out = jsonl(tmp_path / "held.jsonl", [{column: "other", settings.get("answer_column", "answer"): "1"}])
    rows = load(build(tmp_path), eval_dataset=str(held_out), needs_gold=golds != [[]], **settings)
    assert [row["answers"] for row in rows.train] == golds
    assert all(row["prompt"] == [{"role": "user", "content": row["question"]}] for row in rows.train)
    assert [row["question"] for row in rows.train] == [f"q{number}" for number in range(len(golds))]
    assert rows.train_counts.unanswerable == without


def test_a_reward_gets_a_decimal_as_a_number_and_an_edited_one_makes_other_rows(tmp_path: Path) -> None:
    def read(price: str) -> Rows:
        return load(parquet(tmp_path / "r.parquet", [row | {"price": Decimal(price)} for row in problems(6)]))

    assert json.loads(read("4.50").train[0]["columns"])["price"] == 4.5
    assert read("4.50").digest != read("4.51").digest


def rows(folder: Path) -> Path:
    return jsonl(folder / "rows.jsonl", problems(6))


def no_golds(folder: Path) -> Path:
    return jsonl(folder / "rows.jsonl", [row | {"answer": ""} for row in problems(6)])


def rows_with(column: str, value: Any, write: Callable[[Path, list[Row]], Path], name: str) -> Build:
    """Rows of which the third has this value."""
    rows = [row | ({column: value} if number == 2 else {}) for number, row in enumerate(problems(6))]
    return lambda folder: write(folder / name, rows)


OTHER_TYPES = [
    given(
        "a dictionary as prompt",
        rows_with("question", {"text": "q"}, jsonl, "r.jsonl"),
        "GRPO_PROMPT_COLUMN: 'question'",
        "in row 3 it holds a dictionary with text",
        "The columns are question, answer",
    ),
    given(
        "a list of texts as prompt", rows_with("question", ["q"], jsonl, "r.jsonl"), "in row 3 it holds a list of str"
    ),
    given("a boolean list", rows_with("question", [True], jsonl, "r.jsonl"), "in row 3 it holds a list of bool"),
    given(
        "bytes as prompt",
        lambda f: parquet(f / "r.parquet", [{"question": b"q", "answer": 1}]),
        "in row 1 it holds bytes",
    ),
    given(
        "a day as prompt",
        lambda f: parquet(f / "r.parquet", [{"question": datetime.date(2026, 1, 1), "answer": 1}]),
        "in row 1 it holds a value of type date",
    ),
    given(
        "a chat as Python prints it",
        rows_with("question", str([{"role": "user", "content": "q"}]), as_csv, "r.csv"),
        "in row 3 it holds a list of messages as Python prints it; write it as JSON",
    ),
    given(
        "an unknown role",
        rows_with("question", [{"role": "tool", "content": "q"}], jsonl, "r.jsonl"),
        "the role 'tool'",
    ),
    given(
        "a dictionary as gold",
        rows_with("answer", {"value": 1}, jsonl, "r.jsonl"),
        "GRPO_ANSWER_COLUMN: 'answer'",
        "in row 3 it holds a dictionary with value",
    ),
    given(
        "in parquet",
        lambda f: parquet(f / "r.parquet", [{"question": "q", "answer": {"value": 1}}]),
        "a dictionary with value",
    ),
    given(
        "lists of lists as gold",
        rows_with("answer", [["1"]], jsonl, "r.jsonl"),
        "in row 3 it holds a list of a list of str",
    ),
    given("in the second file", two_files, "in row 3 of b.jsonl it holds a dictionary with value"),
    given(
        "no such column",
        rows,
        "GRPO_PROMPT_COLUMN: 'q' was given",
        "has the columns question, answer",
        prompt_column="q",
    ),
    given(
        "none inside",
        rows_with("truth", {"value": 1}, jsonl, "r.jsonl"),
        "'truth.gold' was given",
        "has the columns question, answer, truth, truth.value",
        answer_column="truth.gold",
    ),
    given(
        "inside a text",
        rows,
        "'answer.gold' was given",
        "has the columns question, answer",
        answer_column="answer.gold",
    ),
    given("no golds", no_golds, "0 of 5 rows (left out: 5 unanswerable)"),
]


@pytest.mark.parametrize("case", OTHER_TYPES, ids=[case[0] for case in OTHER_TYPES])
def test_what_is_neither_prompt_nor_gold_is_refused_by_row_and_type(case: Refused, tmp_path: Path) -> None:
    assert_refused(case, tmp_path)


def test_a_gold_that_nobody_asks_for_may_be_anything(tmp_path: Path) -> None:
    path = rows_with("answer", {"value": 1}, jsonl, "r.jsonl")(tmp_path)
    assert len(load(path, needs_gold=False, eval_rows=1).train) == 5
