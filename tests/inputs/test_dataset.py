"""Nothing of the rows is lost without a number, and none that is held out is trained on."""

import random
from pathlib import Path
from typing import Any

import pytest

from grpo_job.inputs import sample
from grpo_job.inputs.questions import normalised
from grpo_job.inputs.row_values import golds
from grpo_job.outcomes import InvalidRun
from tests.inputs.row_files import cache_of_its_own, jsonl, load, problems, refusal

__all__ = ["cache_of_its_own"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("5 + 67 = <<5+67=72>>72\n#### 72", "72"),
        ("#### 1,000", "1,000"),
        ("a #### b #### -3 ", "-3"),
        ("72", "72"),
        (72, "72"),
        (2.5, "2.5"),
        ("####", ""),
        ("work ####  ", ""),
        (None, ""),
    ],
)
def test_the_gold_answer_is_what_stands_behind_the_last_mark(answer: object, expected: str) -> None:
    assert golds(answer) == ([expected] if expected else [])


def test_every_row_that_is_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    train = [
        *problems(6),
        {"question": "", "answer": "1"},
        {"question": "   ", "answer": "1"},
        {"question": None, "answer": "1"},
        {"question": "No answer?", "answer": None},
        {"question": "No answer either?", "answer": "work ####"},
        {"question": "what is 3  plus 3", "answer": "6"},
        {"question": "long " * 300, "answer": "1"},
    ]
    test = [*problems(2, first=50), problems(1)[0], {"question": "WHAT IS 50 PLUS 50?", "answer": "100"}]
    jsonl(tmp_path / "train.jsonl", train)
    jsonl(tmp_path / "test.jsonl", test)
    rows = load(tmp_path)
    assert vars(rows.train_counts) == {
        "read": 13, "kept": 6, "empty": 3, "unanswerable": 2, "duplicate": 1, "too_long": 1, "in_training": 0,
        "set_apart": 0,
    }  # fmt: skip
    assert rows.train_counts.sentence() == ("6 of 13 rows (left out: 3 empty, 2 unanswerable, 1 duplicate, 1 too long)")
    assert rows.held_out_counts.sentence() == "2 of 4 rows (left out: 1 duplicate, 1 in training)"


def test_a_prompt_of_exactly_the_longest_length_is_kept(tmp_path: Path) -> None:
    rows = load(jsonl(tmp_path / "rows.jsonl", problems(20)), max_prompt_length=5)
    assert rows.train_counts.too_long == 0
    with pytest.raises(InvalidRun, match=r"GRPO_MAX_PROMPT_LENGTH"):
        load(tmp_path / "rows.jsonl", max_prompt_length=4)


@pytest.mark.parametrize(
    "variant",
    [
        "What is 3 plus 3?", "what is 3 plus 3?", "  What   is 3\nplus 3 ?", "WHAT IS 3 PLUS 3", "What is 3 plus 3.",
        "\u201cWhat is 3 plus 3?\u201d", "Ｗhat is ３ plus 3?", "What is 3\u00a0plus 3?",
        "\ufeffWhat is 3 plus\u00ad 3?\u200b",
    ],
)  # fmt: skip
def test_a_held_out_row_never_occurs_in_training_in_whatever_case_or_spacing(variant: str, tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", problems(6))
    jsonl(tmp_path / "test.jsonl", [{"question": variant, "answer": "6"}, *problems(1, first=99)])
    rows = load(tmp_path)
    assert [row["question"] for row in rows.held_out] == ["What is 99 plus 99?"]
    assert rows.held_out_counts.in_training == 1


def test_without_a_test_split_the_same_rows_are_held_out_in_any_order_and_none_is_trained_on(tmp_path: Path) -> None:
    rows = problems(100)
    first = load(jsonl(tmp_path / "a.jsonl", rows))
    random.Random(1).shuffle(rows)
    again = load(jsonl(tmp_path / "b.jsonl", rows))
    held = {row["question"] for row in first.held_out}
    assert len(held) == 10
    assert held == {row["question"] for row in again.held_out}
    assert not held & {row["question"] for row in first.train}
    assert len(first.train) == 90


def test_equal_questions_are_never_parted_between_training_and_held_out(tmp_path: Path) -> None:
    twice = [*problems(50), *({**row, "question": row["question"].upper()} for row in problems(50))]
    rows = load(jsonl(tmp_path / "rows.jsonl", twice))
    assert rows.train_counts.duplicate + rows.held_out_counts.duplicate == 50
    assert rows.held_out_counts.in_training == 0
    assert not {normalised(row["question"]) for row in rows.held_out} & {
        normalised(row["question"]) for row in rows.train
    }


def under(system: str, question: str = "Who is it?", answer: str = "Ann") -> dict[str, Any]:
    return {
        "question": [{"role": "system", "content": system}, {"role": "user", "content": question}],
        "answer": answer,
    }


def test_the_same_words_of_the_user_under_other_system_messages_are_other_questions(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", [under(f"In case {number} it is Ann.") for number in range(6)])
    jsonl(tmp_path / "test.jsonl", [under("In case 7 it is Ann."), under("in case 5  it is Ann.")])
    rows = load(tmp_path)
    assert (rows.train_counts.kept, rows.held_out_counts.kept, rows.held_out_counts.in_training) == (6, 1, 1)


def test_they_are_set_apart_one_by_one(tmp_path: Path) -> None:
    rows = load(jsonl(tmp_path / "rows.jsonl", [under(f"In case {number} it is Ann.") for number in range(50)]))
    assert (len(rows.train), len(rows.held_out)) == (45, 5)


def test_a_row_that_brings_the_usual_system_message_asks_what_one_without_it_asks(tmp_path: Path) -> None:
    twice = [*problems(6), *(under("Be brief.", row["question"]) for row in problems(6))]
    jsonl(tmp_path / "train.jsonl", twice)
    jsonl(tmp_path / "test.jsonl", problems(1, first=50))
    rows = load(tmp_path, system_prompt="Be brief.")
    assert rows.train_counts.duplicate == 6


def test_a_new_row_does_not_move_the_others_between_the_parts(tmp_path: Path) -> None:
    before = load(jsonl(tmp_path / "a.jsonl", problems(100)))
    after = load(jsonl(tmp_path / "b.jsonl", problems(101)))
    moved = {row["question"] for row in before.held_out} ^ {row["question"] for row in after.held_out}
    assert len(moved) <= 2


def test_only_as_many_held_out_rows_are_kept_as_were_asked_for(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", problems(6))
    jsonl(tmp_path / "test.jsonl", problems(30, first=50))
    rows = load(tmp_path, eval_rows=20)
    asked = [row["question"] for row in problems(30, first=50)]
    drawn = [row["question"] for row in rows.held_out]
    assert len(drawn) == 20
    assert drawn == [question for question in asked if question in drawn]
    assert drawn != [row["question"] for row in load(tmp_path, eval_rows=20, seed=7).held_out]


def test_held_out_rows_may_come_from_elsewhere(tmp_path: Path) -> None:
    train = jsonl(tmp_path / "mine.jsonl", problems(6))
    other = jsonl(tmp_path / "theirs.jsonl", problems(5, first=50))
    assert len(load(train, eval_dataset=str(other)).held_out) == 5


def test_of_a_bad_held_out_row_it_is_told_that_it_is_held_out(tmp_path: Path) -> None:
    train = jsonl(tmp_path / "mine.jsonl", problems(6))
    other = jsonl(tmp_path / "theirs.jsonl", [{"question": "q", "answer": {"value": 1}}])
    assert "in row 1 of the held-out rows it holds a dictionary" in refusal(train, eval_dataset=str(other))


def test_of_another_folder_the_test_split_is_taken(tmp_path: Path) -> None:
    train = jsonl(tmp_path / "mine.jsonl", problems(6))
    jsonl(tmp_path / "theirs" / "train.jsonl", problems(9, first=50))
    jsonl(tmp_path / "theirs" / "test.jsonl", problems(5, first=90))
    assert len(load(train, eval_dataset=str(tmp_path / "theirs")).held_out) == 5
    assert len(load(train, eval_dataset=str(tmp_path / "theirs"), eval_split="train").held_out) == 9


def test_wrong_columns_are_refused_with_the_columns_that_exist(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"problem": "1+1", "solution": "2"}])
    said = refusal(path).splitlines()
    assert said == [
        f"GRPO_PROMPT_COLUMN: 'question' was given; {path} has the columns problem, solution",
        f"GRPO_ANSWER_COLUMN: 'answer' was given; {path} has the columns problem, solution",
    ]
    assert "GRPO_PROMPT_COLUMN" not in refusal(path, prompt_column="problem")


def test_a_wrong_split_is_refused_with_the_splits_that_exist(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", problems(6))
    jsonl(tmp_path / "test.jsonl", problems(6))
    assert "GRPO_DATASET_SPLIT: 'trane' was given; " in refusal(tmp_path, dataset_split="trane")
    assert refusal(tmp_path, eval_split="dev").endswith("has the splits train, test")


def test_a_single_file_has_no_split_to_evaluate_on(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", problems(6))
    assert refusal(path, eval_split="test") == f"GRPO_EVAL_SPLIT: 'test' was given; {path} has the splits train"


def test_too_few_rows_for_one_generation_are_refused_with_the_numbers(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", problems(6))
    said = refusal(path, num_generations=2, per_device_train_batch_size=16)
    assert "there are 5 of 5 rows to train on and 1 of 1 rows to evaluate on, but one generation needs 8" in said


@pytest.mark.parametrize(
    ("rows", "cure"),
    [
        ([{"question": f"{n}?", "answer": None} for n in range(9)], "an answer in each (GRPO_ANSWER_COLUMN=answer)"),
        ([{"question": "", "answer": "1"}] * 9, "a question in each (GRPO_PROMPT_COLUMN=question)"),
        (
            [{"question": "Add.", "answer": str(n)} for n in range(9)],
            "questions that differ (GRPO_PROMPT_COLUMN=question)",
        ),
        ([{"question": f"{n}? " * 999, "answer": "1"} for n in range(9)], "a larger GRPO_MAX_PROMPT_LENGTH (now 256)"),
    ],
    ids=["without answers", "without questions", "with one question", "too long"],
)
def test_too_few_rows_are_refused_with_what_would_keep_those_left_out(
    rows: list[dict[str, Any]], cure: str, tmp_path: Path
) -> None:
    said = refusal(jsonl(tmp_path / "rows.jsonl", rows))
    assert f"; allowed: more rows, {cure}, or a smaller GRPO_PER_DEVICE_TRAIN_BATCH_SIZE" in said


def test_held_out_rows_that_all_occur_in_training_are_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", problems(6))
    assert "0 of 6 rows (left out: 6 in training) left to evaluate on" in refusal(path, eval_dataset=str(path))


def test_of_several_splits_the_one_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", problems(9))
    jsonl(tmp_path / "validation.jsonl", problems(9, first=50))
    jsonl(tmp_path / "test.jsonl", [{"question": f"{number} + 1?", "answer": ""} for number in range(5)])
    place = f"the split 'test' of {tmp_path} (its splits: train, validation, test)"
    without_answers = (
        "GRPO_EVAL_SPLIT or GRPO_EVAL_DATASET: {} has 0 of 5 rows (left out: 5 unanswerable) left to evaluate"
    )
    assert without_answers.format(place) in refusal(tmp_path)
    jsonl(tmp_path / "test.jsonl", [{"problem": "1 + 1?", "answer": "2"}])
    assert refusal(tmp_path) == f"GRPO_PROMPT_COLUMN: 'question' was given; {place} has the columns problem, answer"


@pytest.mark.skipif(not sample.TRAIN.is_file(), reason="the sample has not been made")
def test_the_sample_has_rows_to_train_on_and_others_to_evaluate_on() -> None:
    rows = load("sample", eval_rows=300)
    assert len(rows.train) > 500
    assert len(rows.held_out) == 300
    assert rows.held_out_counts.in_training == 0
    assert rows.revision is None
    assert refusal("sample", dataset_split="dev").endswith("sample has the splits train, test")
