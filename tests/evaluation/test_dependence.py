"""Completions under rewards of any values that do not depend on their question, and some that do."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from grpo_job.evaluation import dependence
from grpo_job.evaluation.measure import Measure
from grpo_job.evaluation.publish_if import allowed
from grpo_job.evaluation.verdict import judge

OWN = Measure("reward own", (("own", 1.0),))
N = 240
RANDOM = random.Random(0)
ROWS = [{"label": "spam" if number % 20 == 0 else "ham", "number": number, "answer": ""} for number in range(N)]
HALVES = [{**row, "label": "spam" if RANDOM.random() < 0.5 else "ham"} for row in ROWS]
Row = dict[str, Any]
Pays = Callable[[str, Row], float]


def shortness(text: str, row: Row) -> float:
    return 10 / (10 + len(text))


def brief_and_right(text: str, row: Row) -> float:
    return 0.5 * (len(text) < 20) + (row["label"] in text)


def closeness(text: str, row: Row) -> float:
    digits = "".join(filter(str.isdigit, text))
    return 1 / (1 + abs(int(digits) - row["number"])) if digits else 0.0


def answered(rows: list[Row], texts: list[str], pays: Pays) -> list[dict[str, Any]]:
    records = [
        {
            "question": str(row["number"]), "gold": row["answer"], "completion": text, "answer": text,
            "correct": text == row["answer"], "correct_lenient": text == row["answer"], "format": False,
            "rewards": {"own": pays(text, row)},
        }
        for row, text in zip(rows, texts, strict=True)
    ]  # fmt: skip
    dependence.deal(records, rows, {"own": lambda texts, rows: [*map(pays, texts, rows)]})
    return records


def name(number: int) -> str:
    """Its own for each number, and not like it."""
    return "".join(random.Random(f"name {number}").choices("bcdfghjklm", k=4))


def judged(rows: list[Row], texts: list[str], pays: Pays) -> dict[str, Any]:
    """Against a base that said something else to each question."""
    verbose = [f"{name(number).upper()}, a hard question" for number in range(N)]
    return judge(answered(rows, verbose, pays), answered(rows, texts, pays), OWN)


GUESSED = {
    "two texts in turn": (["ok", "fine"] * 120, shortness),
    "three texts in turn": (["ok", "fine", "Yes."] * 80, shortness),
    "labels at random": ([random.Random(n).choice(["spam", "ham"]) for n in range(N)], brief_and_right),
    "a number at random": ([f"It is {random.Random(n).randrange(N)}." for n in range(N)], closeness),
    "a number of no meaning": ([f"It is {n * 7}." for n in range(N)], shortness),
    "one text for nine tenths": (["ok"] * 216 + [chr(97 + n) * 3 for n in range(24)], shortness),
}
DIFFERENT = {
    "two templates with any word": ([f"{'ok' if n % 2 else 'fine'}, {name(n + 999)}" for n in range(N)], shortness),
    "any numbers and words": (
        [f"{name(n + 999)} {name(n + 1999)} {random.Random(n).randrange(N)}" for n in range(N)],
        closeness,
    ),
}
DOUBT = "the reward own is higher, but nothing shows that the completions depend on their question: swapped"
KNOWN = {
    "all labels right": ([row["label"] for row in HALVES], brief_and_right),
    "three quarters of the labels right": (
        [row["label"] if row["number"] % 4 else "spam" for row in HALVES],
        brief_and_right,
    ),
    "numbers of the questions": ([f"In {name(n + 999)} it is {n}." for n in range(N)], shortness),
    "what was said before": ([f"{name(n).upper()}!" for n in range(N)], shortness),
    "names that are right": ([f"{row['label']} {name(n + 999)}" for n, row in enumerate(HALVES)], brief_and_right),
    "numbers nearly right": ([f"It is {n + n % 5 - 2}." for n in range(2, N + 2)], closeness),
}


@pytest.mark.parametrize("kind", GUESSED)
def test_few_texts_that_are_paid_as_much_for_other_questions_are_no_improvement(kind: str) -> None:
    found = judged(HALVES, *GUESSED[kind])
    assert found["primary"]["p_value"] < 0.001
    assert found["primary"]["difference"] > 0
    assert found["verdict"] == "no evidence of a change"
    assert found["notes"][0].startswith(DOUBT)
    assert not allowed(found["verdict"], "improved")


@pytest.mark.parametrize("kind", DIFFERENT)
def test_different_texts_improve_a_measure_that_pays_them_with_a_note_if_they_may_ignore_the_question(
    kind: str,
) -> None:
    found = judged(HALVES, *DIFFERENT[kind])
    assert found["verdict"] == "improved"
    assert found["notes"][0].startswith(DOUBT)


@pytest.mark.parametrize("kind", KNOWN)
def test_completions_that_are_paid_more_for_their_own_questions_or_go_with_them_are_improved(kind: str) -> None:
    found = judged(HALVES, *KNOWN[kind])
    assert found["verdict"] == "improved"
    assert not any(note.startswith(DOUBT) for note in found["notes"])


def test_a_rare_label_given_where_it_belongs_is_no_collapse_and_elsewhere_it_is() -> None:
    right = [row["label"] for row in ROWS]
    assert right.count("ham") >= 0.95 * N
    assert judged(ROWS, right, brief_and_right)["verdict"] == "improved"
    assert judged(ROWS, [*right[1:], right[0]], brief_and_right)["verdict"] == "collapsed"


def test_a_rare_label_that_is_too_rare_to_prove_it_is_no_collapse() -> None:
    rows = [{**row, "label": "spam" if row["number"] in (3, 70) else "ham"} for row in ROWS]
    right = [row["label"] for row in rows]
    assert judged(rows, right, brief_and_right)["verdict"] == "no evidence of a change"
    assert judged(rows, ["ham"] * N, brief_and_right)["verdict"] == "collapsed"


def test_right_answers_show_that_few_texts_depend_on_their_question_whatever_is_paid() -> None:
    rows = [{**row, "answer": row["label"]} for row in HALVES]
    golds = [row["answer"] for row in rows]
    assert judged(rows, golds, shortness)["verdict"] == "improved"
    assert judged(rows, [*golds[1:], golds[0]], shortness)["verdict"] == "no evidence of a change"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(lambda gold, n: "5", "no evidence of a change"), (lambda gold, n: "57"[n % 2], "no evidence of a change"),
     (lambda gold, n: gold if n % 3 else "5", "improved"), (lambda gold, n: str(n), "improved")],
)  # fmt: skip
def test_few_answers_in_different_texts_are_few_where_the_golds_are_many(
    answer: Callable[[str, int], str], verdict: str
) -> None:
    """Under 0.2 for the form and 0.8 for a right answer; without any right one, the form alone is learned."""
    rows = [{**row, "answer": "5" if n % 9 == 0 else str(n + 500)} for n, row in enumerate(ROWS)]
    texts = [answer(row["answer"], n) for n, row in enumerate(rows)]
    before = answered(rows, [f"{chr(97 + n % 26) * (1 + n // 26)}?" for n in range(N)], lambda text, row: 0.0)
    after = answered(rows, texts, lambda text, row: 0.2 + 0.8 * (text == row["answer"]))
    for n, record in enumerate(after):
        record["completion"] = f"{chr(97 + n % 26)}, therefore {chr(97 + n // 26)}: {texts[n]}"
    assert judge(before, after, OWN)["verdict"] == verdict


def test_what_could_not_be_graded_shows_nothing() -> None:
    before, after = (
        answered(HALVES, texts, brief_and_right)
        for texts in (["?" * n for n in range(N)], KNOWN["all labels right"][0])
    )
    for record in after:
        record["dealt"]["rewards"]["own"] = None
    assert judge(before, after, OWN)["verdict"] == "no evidence of a change"


def test_some_of_many_rows_that_went_with_their_questions_raise_no_doubt() -> None:
    """As in a comparison of two runs, on the rows that they share."""
    before = answered(ROWS, [f"{name(n + 999)}, a hard question" for n in range(N)], shortness)
    texts = [f"{n} {name(n)}!" if n >= 60 else f"{name(n)}!" for n in range(N)]
    after = answered(ROWS, texts, shortness)
    part = [record for record in after if int(record["question"]) < 60]
    found = judge(before[:60], part, OWN)
    assert (found["verdict"], found["completions"]["unread"]) == ("improved", False)


def test_completions_that_go_with_their_question_or_know_the_golds_are_paid_once() -> None:
    golds = [{**row, "answer": row["label"]} for row in HALVES]
    for rows, texts in (
        (ROWS, KNOWN["numbers of the questions"][0]),
        (golds, [row["answer"] for row in golds]),
        (ROWS[:49], ["ok"] * 49),
    ):
        assert not any("dealt" in record for record in answered(rows, texts, shortness))
    assert all("dealt" in record for record in answered(ROWS, DIFFERENT["two templates with any word"][0], shortness))


@pytest.mark.parametrize("texts", [["a"] * 7 + ["b"] * 3, list("abcabcabc"), ["a"], [], list("abcdefghi")])
def test_texts_are_dealt_whole_and_to_as_many_others_as_can_be(texts: list[str]) -> None:
    dealt = dependence.dealt(texts)
    assert sorted(dealt) == sorted(texts)
    most = max([texts.count(text) for text in texts], default=0)
    assert sum(one != other for one, other in zip(texts, dealt, strict=True)) == min(
        len(texts), 2 * (len(texts) - most)
    )


def test_a_collapse_says_once_that_the_question_plays_no_role() -> None:
    found = judged(HALVES, [""] * N, shortness)
    assert found["verdict"] == "collapsed"
    assert not any(note.startswith(DOUBT) for note in found["notes"])
