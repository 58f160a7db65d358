"""Rows that are drawn: by the seed, whatever their order, and never both trained on and chosen by."""

import random

from grpo_job.evaluation.drawing import digest, drawn, set_apart

ROWS = [{"question": f"question {number}", "answer": str(number)} for number in range(100)]


def test_the_same_rows_are_drawn_from_any_order_and_keep_it() -> None:
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    found = drawn(ROWS, 30, seed=1)
    assert [row for row in ROWS if row in found] == found
    assert sorted(map(str, drawn(shuffled, 30, seed=1))) == sorted(map(str, found))
    assert drawn(ROWS, 30, seed=2) != found


def test_fewer_rows_are_a_part_of_more() -> None:
    assert all(row in drawn(ROWS, 40, seed=1) for row in drawn(ROWS, 30, seed=1))


def test_rows_to_choose_by_are_not_trained_on_and_at_most_a_fifth() -> None:
    train, chosen = set_apart(ROWS, 64, seed=1)
    assert len(chosen) == 20
    assert sorted(map(str, [*train, *chosen])) == sorted(map(str, ROWS))
    assert [len(part) for part in set_apart(ROWS, 7, seed=1)] == [93, 7]
    assert [len(part) for part in set_apart(ROWS[:2], 7, seed=1)] == [1, 1]


def test_the_digest_is_of_questions_and_answers() -> None:
    other = [{**ROWS[0], "answer": "1"}]
    assert digest(ROWS[:1]) == digest([{**ROWS[0], "columns": "{}"}]) != digest(other)
