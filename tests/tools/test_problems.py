"""The embedded rows: told truly, worked rightly, and held out of everything that is trained on.

`read_back` reads a question without the generator's help: its numbers, and what each sentence does to
the amount by a verb of that sentence.
"""

import json
import random
import re
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path
from typing import get_args

from grpo_job.inputs import sample
from tools.sample import lessons, problems

CUES = {
    "+": ("brings", "finds", "another", "come by post"),
    "-": ("gives", "lost", "borrows", "sells"),
    "*": ("trades each", "times its size", "turns every"),
    "/": ("deals them out", "packed evenly", "shares them"),
}


def rows_of(path: Path) -> list[problems.Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


TRAIN = rows_of(sample.TRAIN)
HELD_OUT = rows_of(sample.HELD_OUT)


def read_back(question: str) -> str:
    """The signature, from the words alone."""
    opening, *events, asked = re.split(r"(?<=[.?]) ", question)
    assert asked.endswith("?")
    return number_in(opening) + "".join(operation_in(event) + number_in(event) for event in events)


def number_in(sentence: str) -> str:
    (number,) = re.findall(r"\d+", sentence)
    return str(number)


def operation_in(sentence: str) -> str:
    (operation,) = (sign for sign, cues in CUES.items() if any(cue in sentence for cue in cues))
    return operation


def numbers_of(text: str) -> tuple[int, ...]:
    """The numbers of a question or signature by size: all that two problems must share to be related."""
    return tuple(sorted(map(int, re.findall(r"\d+", text))))


def left_to_right(signature: str) -> int:
    """The result, worked from the left with no rule of precedence."""
    first, *steps = re.findall(r"[-+*/]?\d+", signature)
    amount = int(first)
    for step in steps:
        amount = int(eval(f"{amount}{step}"))
    return amount


def problem_of(signature: str) -> problems.Problem:
    """The problem of a signature: "7+5" -> `Problem(7, (Step("+", 5),))`."""
    first, *rest = re.findall(r"[-+*/]|\d+", signature)
    known: dict[str, problems.Operation] = {operation: operation for operation in get_args(problems.Operation)}
    steps = (problems.Step(known[sign], int(number)) for sign, number in zip(rest[::2], rest[1::2], strict=True))
    return problems.Problem(int(first), tuple(steps))


def signature_of_answer(answer: str) -> str:
    """The signature from the worked lines alone; each must be right and start where the one before ends."""
    lines = re.findall(r"^(\d+) ([-+*/]) (\d+) = (\d+)$", answer, re.MULTILINE)
    assert all(left_to_right(f"{before}{sign}{number}") == int(after) for before, sign, number, after in lines)
    assert all(line[3] == following[0] for line, following in pairwise(lines))
    return str(lines[0][0]) + "".join(sign + number for _, sign, number, _ in lines)


HELD_OUT_SIGNATURES = {read_back(row["question"]) for row in HELD_OUT}
HELD_OUT_NUMBERS = {numbers_of(signature) for signature in HELD_OUT_SIGNATURES}


def count_overlaps(questions: Iterable[str]) -> tuple[int, int]:
    """How many questions equal a held-out problem, and how many merely have the numbers of one."""
    related = [question for question in questions if numbers_of(question) in HELD_OUT_NUMBERS]
    equal = [question for question in related if read_back(question) in HELD_OUT_SIGNATURES]
    return len(equal), len(related)


def test_the_count_of_overlaps_sees_an_equal_problem_in_other_words() -> None:
    problem = problem_of(HELD_OUT[0]["signature"])
    retold = problems.make_row(problem, random.Random(4))["question"]
    assert retold != HELD_OUT[0]["question"]
    assert count_overlaps([retold, TRAIN[0]["question"]]) == (1, 1)


def test_there_are_enough_rows_of_both_kinds() -> None:
    assert len(TRAIN) == 2000
    assert len(HELD_OUT) == len(HELD_OUT_SIGNATURES) == 300


def test_the_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    problems.write_row_files(tmp_path)
    assert (tmp_path / "train.jsonl").read_bytes() == sample.TRAIN.read_bytes()
    assert (tmp_path / "held_out.jsonl").read_bytes() == sample.HELD_OUT.read_bytes()


def test_words_signature_and_worked_answer_tell_the_same_problem() -> None:
    for row in HELD_OUT + TRAIN:
        assert read_back(row["question"]) == row["signature"] == signature_of_answer(row["answer"])
        assert row["answer"].endswith(f"\n#### {left_to_right(row['signature'])}")


def test_no_held_out_problem_is_in_the_training_rows() -> None:
    assert count_overlaps([row["question"] for row in TRAIN]) == (0, 0)


def test_no_held_out_problem_is_in_what_the_model_was_taught() -> None:
    taught = islice(lessons.lessons(random.Random(lessons.SEED)), lessons.COUNT)
    questions = [question for question, _ in taught]
    assert len(questions) == 38_400
    assert count_overlaps(questions) == (0, 0)


def test_a_lesson_is_answered_in_the_asked_form() -> None:
    assert lessons.completion(problem_of("3+4-2")) == (
        "<reasoning>\n3 + 4 = 7\n7 - 2 = 5\n</reasoning>\n<answer>\n5\n</answer>"
    )


def test_a_careless_lesson_leaves_out_the_last_step_and_never_the_only_one() -> None:
    rng = random.Random(3)
    several, single = problem_of("3+4-2"), problem_of("3+4")
    assert {problems.signature(lessons.taught(several, rng)) for _ in range(50)} == {"3+4-2", "3+4"}
    assert {problems.signature(lessons.taught(single, rng)) for _ in range(50)} == {"3+4"}


def test_related_problems_are_on_the_same_side() -> None:
    related = ["3+4*2", "4+3*2", "2*4+3", "4*3/2", "2+3+4", "4+3-2"]
    assert len({problems.is_held_out(problem_of(signature)) for signature in related}) == 1


def test_training_problems_are_never_held_out_and_the_others_always_are() -> None:
    rng = random.Random(1)
    assert not any(map(problems.is_held_out, islice(problems.training_problems(rng), 2000)))
    assert all(map(problems.is_held_out, islice(problems.held_out_problems(rng), 500)))


def test_a_signature_reads_back_and_works_from_left_to_right() -> None:
    problem = problem_of("7+5-3*2")
    assert problems.signature(problem) == "7+5-3*2"
    assert problems.worked_lines(problem) == ["7 + 5 = 12", "12 - 3 = 9", "9 * 2 = 18"]
    assert problems.solution(problem) == 18


def test_other_names_and_objects_leave_the_signature_as_it_is() -> None:
    problem = problem_of("8-3+4")
    rows = [problems.make_row(problem, random.Random(seed)) for seed in range(20)]
    assert len({row["question"] for row in rows}) > 15
    assert {read_back(row["question"]) for row in rows} == {"8-3+4"}


def test_results_stay_whole_and_small() -> None:
    for problem in islice(problems.training_problems(random.Random(2)), 2000):
        results = [int(line.rpartition(" ")[2]) for line in problems.worked_lines(problem)]
        assert all(2 <= result <= problems.LARGEST_RESULT for result in results)
        assert left_to_right(problems.signature(problem)) == results[-1]
