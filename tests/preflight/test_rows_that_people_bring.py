"""Rows in the shapes of public data sets: what would be taken wrongly has one warning, its siblings have none."""

import json
from typing import Any

import pytest

from tests.preflight.world import World

CITIES = ["Rome", "Paris", "Oslo", "Cairo"]
PAIRS = [{"label": letter, "text": text} for letter, text in zip("ABCD", CITIES, strict=True)]
LETTERED = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", CITIES, strict=True))
COUNTDOWN = (
    "Using the numbers {}, create an equation that equals {}. Return the final answer in <answer> tags, for example "
    "<answer> (1 + 2) / 3 </answer>."
)


def asked(number: int) -> str:
    return f"Question {number}: where does the river end?"


def row(number: int, **columns: Any) -> dict[str, Any]:
    return {"question": asked(number), "answer": "ABCD"[number % 4], **columns}


def code(text: str) -> Any:
    return lambda n: row(n, answer=text.replace("NUMBER", str(n)))


def countdown(number: int) -> dict[str, Any]:
    numbers, target = [3 + number % 7, 90 - number, 11, 25][: 3 + number % 2], 100 + 7 * number % 83
    return row(number, question=COUNTDOWN.format(numbers, target), answer=target, nums=numbers)


# Name, a part of the only warning, one row, further settings
WRONGLY_TAKEN: list[tuple[str, str, Any, dict[str, str]]] = [
    ("a function", "answers are code or tests, such as 'def f(x): return", code("def f(x):\n  return x + NUMBER"), {}),
    ("the body of a function", "are code or tests", code("return x + NUMBER"), {}),
    ("asserts", "are code or tests", lambda n: row(n, answer=[f"assert f(1) == {n}", f"assert f(2) == {2 * n}"]), {}),
    ("inputs and outputs", "are code or tests", code('{"inputs": ["NUMBER\\n"], "outputs": ["2\\n"]}'), {}),
    ("solutions in JSON", "are code or tests", code('["import sys\\nn = int(input())\\nsys.exit(NUMBER)"]'), {}),
    ("C++", "are code or tests", code("#include <iostream>\nint main() {\n  std::cout << NUMBER;\n}"), {}),
    ("SQL", "are code or tests", code("SELECT name\nFROM t WHERE age > NUMBER"), {}),
    ("a fence", "are code or tests", code("```\nx NUMBER\n```"), {}),
    ("long code", "are code or tests", code("def f(x):\n" + "  x += NUMBER\n" * 40), {}),
    ("some code", "5 of 80 answers are code or tests", lambda n: row(n, answer=n if n % 16 else f"return {n}"), {}),
    (
        "parts of an answer",
        "80 of 80 rows have several answers that differ, such as '1 | 3', and any one of them is paid: if all are",
        lambda n: row(n, answer=[n + 1, n + 3]),
        {},
    ),
    (
        "the options as answers",
        "rows have several answers that differ",
        lambda n: row(n, answer=[f"x{n}", *CITIES]),
        {},
    ),
    ("a number to reach", "are the number at one place of their question", countdown, {}),
    ("a dictionary in CSV", "answers are records", code("{'text': array(['NUMBER'], dtype=object)}"), {}),
    ("several answers in CSV", "answers are records", code("['NUMBER' 'about NUMBER']"), {}),
    ("a record in JSON", "answers are records", code('{"ground_truth": "NUMBER"}'), {}),
    (
        "numbered classes",
        "the answers are 2 classes (0, 1) that no prompt names",
        lambda n: row(n, label=n % 2),
        {"ANSWER_COLUMN": "label"},
    ),
    (
        "named classes",
        "the answers are 2 classes (bad, good) that no prompt names: say in GRPO_SYSTEM_PROMPT",
        lambda n: row(n, label=["bad", "good"][n % 2]),
        {"ANSWER_COLUMN": "label"},
    ),
    (
        "places among options in the question",
        "perhaps a place among them (in the question)",
        lambda n: row(n, question=f"{asked(n)}\n{LETTERED}", answer=n % 4),
        {},
    ),
    (
        "options without letters",
        "every answer is a letter, but no prompt shows the letters of its row's options (column choices)",
        lambda n: row(n, question=f"{asked(n)}\n- " + "\n- ".join(CITIES), choices=CITIES),
        {},
    ),
    ("options as pairs", "no prompt shows its row's options (column choices)", lambda n: row(n, choices=PAIRS), {}),
    (
        "options beside the question",
        "no prompt shows its row's options (column choices)",
        lambda n: row(n, question={"stem": asked(n), "choices": PAIRS}),
        {"PROMPT_COLUMN": "question.stem"},
    ),
    (
        "options in CSV",
        "no prompt shows its row's options (column choices)",
        lambda n: row(n, choices="['Rome' 'Paris'\n 'Oslo' 'Cairo']"),
        {},
    ),
    (
        "options in columns of answers",
        "perhaps a place among them (columns answerA, answerB)",
        lambda n: row(n, answerA="happy", answerB="sad", label=str(1 + n % 2)),
        {"ANSWER_COLUMN": "label"},
    ),
    ("half of a pair", "no prompt shows its row's column hypothesis", lambda n: row(n, hypothesis=f"It is {n}."), {}),
    (
        "paragraphs",
        "no prompt shows its row's column context",
        lambda n: row(n, context={"title": ["a"], "sentences": [[f"The river {n} is long."]]}),
        {},
    ),
    ("tools", "no prompt shows its row's column tools", lambda n: row(n, tools=json.dumps([{"name": "weather"}])), {}),
    ("an image", "no prompt shows its row's column image: models are", lambda n: row(n, image={"path": "a.png"}), {}),
]
FINE: list[tuple[str, Any, dict[str, str]]] = [
    ("JSON", code('{"name": "Ann", "age": NUMBER}'), {}),
    ("names of one thing", lambda n: row(n, answer=[f"Lake {n}", f"the lake {n}", "a lake"]), {}),
    ("LaTeX", code("\\left\\{ -NUMBER, 2 \\right\\}"), {}),
    ("a list", code('["a", "bNUMBER"]'), {}),
    ("a function of mathematics", code("f(x) = NUMBER x"), {}),
    ("a number of the question", lambda n: row(n, question=f"Which is larger, {n} or {50}?", answer=max(n, 50)), {}),
    (
        "a count",
        lambda n: row(n, question=f"How many r has {'r' * (n % 5)}{n}b?", label=7 * n),
        {"ANSWER_COLUMN": "label"},
    ),
    (
        "classes that the question names",
        lambda n: row(n, question=f"Good or bad? {n}", label=["bad", "good"][n % 2]),
        {"ANSWER_COLUMN": "label"},
    ),
    (
        "classes that the system prompt names",
        lambda n: row(n, label=n % 2),
        {"ANSWER_COLUMN": "label", "SYSTEM_PROMPT": "Say 1 if it is true, else 0."},
    ),
    ("yes and no", lambda n: row(n, label=n % 2 == 0), {"ANSWER_COLUMN": "label"}),
    ("options with letters", lambda n: row(n, question=f"{asked(n)}\n{LETTERED}", choices=PAIRS), {}),
    (
        "numbered options",
        lambda n: row(n, question=f"{asked(n)} 1) Rome 2) Paris", choices=CITIES[:2], answer=str(1 + n % 2)),
        {},
    ),
    (
        "other right answers",
        lambda n: row(n, answer=f"Rome {n}", answers=[f"Rome {n}", "Roma"], answer_1="Roma", answer_2="Urbs"),
        {},
    ),
    ("tools of none", lambda n: row(n, tools="[]", image=None), {}),
    ("tools that are shown", lambda n: row(n, question=f"{asked(n)} Call weather.", tools='[{"name": "weather"}]'), {}),
    ("columns of some rows", lambda n: row(n, **({"context": asked(n)} if n < 50 else {})), {}),
]


@pytest.mark.parametrize(
    ("part", "row_of", "settings"), [c[1:] for c in WRONGLY_TAKEN], ids=[c[0] for c in WRONGLY_TAKEN]
)
def test_rows_that_would_be_taken_wrongly_have_one_warning(
    part: str, row_of: Any, settings: dict[str, str], world: World
) -> None:
    world.rows(train=[row_of(n) for n in range(80)], test=[row_of(n) for n in range(80, 140)])
    world.set(**settings)
    warned = [finding.sentence for finding in world.warned()]
    assert [part in sentence for sentence in warned] == [True], warned


@pytest.mark.parametrize(("row_of", "settings"), [c[1:] for c in FINE], ids=[c[0] for c in FINE])
def test_rows_that_are_meant_so_have_none(row_of: Any, settings: dict[str, str], world: World) -> None:
    world.rows(train=[row_of(n) for n in range(80)], test=[row_of(n) for n in range(80, 140)])
    world.set(**settings)
    assert not world.warned()


@pytest.mark.parametrize("kind", ["the body of a function", "a number to reach", "a record in JSON"])
def test_answers_are_fine_where_a_reward_of_the_users_own_reads_them(kind: str, world: World) -> None:
    world.reward("return len(answer) / 1000 if answer in completion else 0.0")
    row_of = next(row_of for name, _, row_of, _ in WRONGLY_TAKEN if name == kind)
    world.rows(train=[row_of(n) for n in range(80)], test=[row_of(n) for n in range(80, 140)])
    assert not world.warned()
