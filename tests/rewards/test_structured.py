"""Answers that are JSON or stand in a code fence, as models write them, in the answer block and without one."""

import json

import pytest

from grpo_job.rewards import correct, correct_anywhere

FENCE = "```"
PERSON = {
    "name": "Ada Lovelace",
    "born": 1815,
    "fields": ["algebra", "computing"],
    "city": {"name": "London"},
    "x": None,
}
GOLD = json.dumps(PERSON)
RECORDS = json.dumps({"records": [{"id": number, "price": 1.5} for number in range(60)]})  # more than 500 characters


def fenced(text: str, language: str = "") -> str:
    return f"{FENCE}{language}\n{text}\n{FENCE}"


def paid(completion: str, gold: str) -> tuple[float | None, float | None, float | None]:
    """By `correct`, by `correct_anywhere` of the same, and by it of the text without an answer block."""
    tagged = f"<reasoning>\nI read it.\n</reasoning>\n<answer>\n{completion}\n</answer>"
    return correct(tagged, gold), correct_anywhere(tagged, gold), correct_anywhere(completion, gold)


@pytest.mark.parametrize(
    "completion",
    [
        json.dumps(PERSON, indent=2),
        json.dumps(PERSON, sort_keys=True),
        json.dumps(dict(reversed(PERSON.items())), separators=(",", ":")),
        fenced(GOLD, "json"),
        f"Here is the record:\n{fenced(json.dumps(PERSON, indent=4), 'json')}",
        f"The record is {json.dumps(PERSON, sort_keys=True)}.",
        json.dumps({**PERSON, "born": 1815.0}),
        json.dumps({**PERSON, "name": "Ada  Lovelace."}),
    ],
)
def test_the_same_json_is_right_however_it_is_written(completion: str) -> None:
    assert paid(completion, GOLD) == paid(completion, fenced(GOLD, "json")) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"born": 1816},
        {"born": "1815"},
        {"fields": ["computing", "algebra"]},
        {"x": "null"},
        {"x": False},
        {"y": 1},
        {"city": {}},
        {"city": {"Name": "London"}},
    ],
)
def test_other_json_is_wrong(changed: dict[str, object]) -> None:
    for completion in (json.dumps({**PERSON, **changed}), fenced(json.dumps({**PERSON, **changed}), "json")):
        assert paid(completion, GOLD) == (0.0, 0.0, 0.0)


def test_a_missing_key_true_for_1_and_a_list_around_it_are_wrong() -> None:
    assert paid('{"a": 1}', '{"a": 1, "b": 2}') == paid('{"a": true}', '{"a": 1}') == (0.0, 0.0, 0.0)
    assert paid('[{"a": 1}]', '{"a": 1}') == paid('[{"b": 2}, {"a": 1}]', '[{"a": 1}, {"b": 2}]') == (0.0, 0.0, 0.0)


def test_long_json_is_compared_too() -> None:
    assert paid(json.dumps(json.loads(RECORDS), indent=1), RECORDS) == (1.0, 1.0, 1.0)
    assert paid(RECORDS.replace('"id": 59', '"id": 60'), RECORDS) == (0.0, 0.0, 0.0)


def test_of_two_objects_the_block_states_none_and_a_free_text_the_last() -> None:
    assert paid('{"a": 1} or {"a": 2}', '{"a": 1}') == (0.0, 0.0, 0.0)
    assert paid('{"a": 1}\nWait:\n{"a": 2}', '{"a": 2}') == (0.0, 0.0, 1.0)
    assert paid('It is not {"a": 1}.', '{"a": 1}') == (0.0, 0.0, 0.0)
    assert correct_anywhere('<think>{"a": 1}</think>{"a": 2}', '{"a": 1}') == 0.0


@pytest.mark.parametrize(
    ("answer", "gold", "language"),
    [
        ("SELECT name\n  FROM people;", "SELECT name FROM people;", "sql"),
        ("print(1)", "print(1)", "python"),
        ("int main;", "int main;", "c++"),
        ("Paris", "paris", ""),
        ("72", "72", "text"),
        ('["a", "b"]', '["a","b"]', "json"),
    ],
)
def test_a_fence_around_an_answer_does_not_count(answer: str, gold: str, language: str) -> None:
    assert paid(fenced(answer, language), gold) == (1.0, 1.0, 1.0)
    assert correct(f"<answer>{answer}</answer>", fenced(gold, language)) == 1.0


def test_a_text_that_has_json_in_it_is_a_text() -> None:
    assert paid('Use {"a": 1} here', 'use {"a": 1} here') == (1.0, 1.0, 1.0)


def test_two_fences_are_two_answers() -> None:
    assert correct(f"<answer>{fenced('72')}\nor\n{fenced('73')}</answer>", "72") == 0.0


def test_what_only_looks_like_json_is_read_as_before() -> None:
    assert paid("{2, 1}", "{1, 2}") == paid("{}", "{}") == paid("[1, 2]", "[1,2]") == (1.0, 1.0, 1.0)
    assert paid('{"answer": 42}', "42") == (1.0, 1.0, 1.0)
    assert paid(r"\boxed{72}", "72") == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("depth", [300, 900, 980, 1500, 9000])
def test_deep_json_ends_no_run(depth: int) -> None:
    for text in ("[" * depth + '{"a": 1}' + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        assert correct_anywhere(text, '{"a": 1}') == correct(f"<answer>{text}</answer>", text.replace("1", "2")) == 0.0


@pytest.mark.parametrize("text", ["[" * 20_000, '{"a":' * 4_000, '[{"a": 1}, ' * 2_000, f"{FENCE}json\n" * 3_000])
def test_unfinished_json_is_wrong(text: str) -> None:
    assert correct_anywhere(text, '{"b": 1}') == correct(f"<answer>{text}</answer>", '{"b": 1}') == 0.0
