"""Arithmetic word problems, identified by their numbers and operations.

A problem is a chain: a first number and one to three steps, from left to right. Its `signature` ("7+5-3") ignores names
and objects. All numbers are in digits and relevant, so that a question can be parsed into its signature.

Held-out and training problems are separated only by their numbers (`is_held_out`), in any order and with any
operations, so no list of held-out problems is needed.

Left out on purpose: fractions, negative results, units and anything that needs world knowledge.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, get_args

Operation = Literal["+", "-", "*", "/"]

LARGEST_FIRST = 15  # the first number of a problem
LARGEST_TERM = 9  # what one step adds or takes away
LARGEST_FACTOR = 5  # what one step multiplies or divides by
LARGEST_RESULT = 40  # of any step, so that a tiny model can learn the arithmetic
STEPS = (1, 2, 2, 3, 3)  # how many steps a problem has: one in five has a single one
HELD_OUT_ONE_IN = 6  # one set of numbers in so many is held out

TRAIN_ROWS, HELD_OUT_ROWS, SEED = 2000, 300, 20

NAMES = (
    *("Mira", "Tom", "Ada", "Ben", "Lena", "Omar", "Ruth", "Ivo"),
    *("Nina", "Karl", "Zoe", "Emil", "Yara", "Paul", "Tess", "Hugo"),
)
THINGS = (
    *("shells", "stamps", "marbles", "buttons", "beads", "coins", "pencils", "ribbons"),
    *("cards", "plums", "candles", "badges", "corks", "tickets", "walnuts", "stickers"),
)
OPENINGS = (
    "{name} has {number} {things}.",
    "{name} starts the day with {number} {things}.",
    "{number} {things} lie in a drawer of {name}.",
    "In the basket of {name} there are {number} {things}.",
)
EVENTS: dict[Operation, tuple[str, ...]] = {
    "+": (
        "{friend} brings {number} more.",
        "Then {name} finds {number} more.",
        "{name} buys another {number}.",
        "{number} more come by post.",
    ),
    "-": (
        "{name} gives {number} to {friend}.",
        "Then {number} of them get lost.",
        "{friend} borrows {number} of them.",
        "{name} sells {number} at the market.",
    ),
    "*": (
        "{name} trades each of them for {number} new ones.",
        "Overnight the heap grows to {number} times its size.",
        "A magician turns every one of them into {number}.",
    ),
    "/": (
        "{name} deals them out evenly to {number} children.",
        "They are packed evenly into {number} boxes.",
        "{name} shares them equally among {number} neighbours.",
    ),
}
QUESTIONS = (
    "How many {things} does {name} have now?",
    "How many {things} are there in the end?",
    "What is the number of {things} now?",
)
SHARE_QUESTIONS = (
    "How many {things} are in each share?",
    "How many {things} make one share?",
)


class Step(NamedTuple):
    """One event of a problem: what it does to the amount so far."""

    operation: Operation
    number: int


class Problem(NamedTuple):
    """What a word problem asks, without its words."""

    first: int
    steps: tuple[Step, ...]


class Row(TypedDict):
    """One line of `train.jsonl` or `held_out.jsonl`; `answer` has GSM8K's format."""

    question: str
    answer: str
    signature: str


def signature(problem: Problem) -> str:
    """Equal for equal problems, whatever the wording: `Problem(7, (Step("+", 5),))` -> "7+5"."""
    return str(problem.first) + "".join(f"{step.operation}{step.number}" for step in problem.steps)


def is_held_out(problem: Problem) -> bool:
    """Whether the problem is only for evaluation; depends only on its sorted numbers."""
    numbers = sorted((problem.first, *(step.number for step in problem.steps)))
    digest = hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:4]) % HELD_OUT_ONE_IN == 0


def apply(amount: int, step: Step) -> int:
    """The amount after the step: `apply(7, Step("-", 3))` -> 4."""
    match step.operation:
        case "+":
            return amount + step.number
        case "-":
            return amount - step.number
        case "*":
            return amount * step.number
        case "/":
            return amount // step.number  # exact: `possible_steps` offers divisors only


def worked_lines(problem: Problem) -> list[str]:
    """The solution line by line: 7+5-3 -> ["7 + 5 = 12", "12 - 3 = 9"]."""
    lines, amount = [], problem.first
    for step in problem.steps:
        result = apply(amount, step)
        lines.append(f"{amount} {step.operation} {step.number} = {result}")
        amount = result
    return lines


def solution(problem: Problem) -> int:
    """The amount after the last step: 7+5-3 -> 9."""
    amount = problem.first
    for step in problem.steps:
        amount = apply(amount, step)
    return amount


@cache
def possible_steps(amount: int, operation: Operation) -> tuple[Step, ...]:
    """The steps of one operation that keep the amount a whole number between 2 and LARGEST_RESULT."""
    largest = LARGEST_TERM if operation in "+-" else LARGEST_FACTOR
    steps = [Step(operation, number) for number in range(2, largest + 1)]
    if operation == "/":
        steps = [step for step in steps if amount % step.number == 0]
    return tuple(step for step in steps if 2 <= apply(amount, step) <= LARGEST_RESULT)


def draw_problem(rng: random.Random) -> Problem:
    """One problem at random. Sharing out comes last only: what follows it would be about one share."""
    problem = Problem(rng.randint(2, LARGEST_FIRST), ())
    count = rng.choice(STEPS)
    while len(problem.steps) < count:
        is_last = len(problem.steps) == count - 1
        operation = rng.choice(get_args(Operation) if is_last else ("+", "-", "*"))
        if steps := possible_steps(solution(problem), operation):
            problem = problem._replace(steps=(*problem.steps, rng.choice(steps)))
    return problem


def tell(problem: Problem, rng: random.Random) -> str:
    """The problem as a short story that ends in a question."""
    name, friend = rng.sample(NAMES, 2)
    things = rng.choice(THINGS)
    asks = SHARE_QUESTIONS if problem.steps[-1].operation == "/" else QUESTIONS
    sentences = [(rng.choice(OPENINGS), problem.first)]
    sentences += [(rng.choice(EVENTS[step.operation]), step.number) for step in problem.steps]
    story = [sentence.format(name=name, friend=friend, things=things, number=n) for sentence, n in sentences]
    return " ".join([*story, rng.choice(asks).format(name=name, things=things)])


def make_row(problem: Problem, rng: random.Random) -> Row:
    """The problem with words, its worked answer and its signature."""
    answer = "\n".join([*worked_lines(problem), f"#### {solution(problem)}"])
    return Row(question=tell(problem, rng), answer=answer, signature=signature(problem))


def training_problems(rng: random.Random) -> Iterator[Problem]:
    """Endless problems that may be trained on: the only source of the supervised phase and `train.jsonl`."""
    while True:
        problem = draw_problem(rng)
        if not is_held_out(problem):
            yield problem


def held_out_problems(rng: random.Random) -> Iterator[Problem]:
    """Endless problems that may only be measured with."""
    while True:
        problem = draw_problem(rng)
        if is_held_out(problem):
            yield problem


def make_rows(source: Callable[[random.Random], Iterator[Problem]], count: int, rng: random.Random) -> list[Row]:
    """So many rows from the source, no two of which are the same problem."""
    return list(islice(_unlike(make_row(problem, rng) for problem in source(rng)), count))


def _unlike(rows: Iterable[Row]) -> Iterator[Row]:
    seen: set[str] = set()
    for row in rows:
        if row["signature"] not in seen:
            seen.add(row["signature"])
            yield row


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_row_files(folder: Path) -> list[Row]:
    """Both files of rows; hands back those that may be trained on."""
    train_rows = make_rows(training_problems, TRAIN_ROWS, random.Random(f"train {SEED}"))
    held_out_rows = make_rows(held_out_problems, HELD_OUT_ROWS, random.Random(f"held-out {SEED}"))
    write_rows(train_rows, folder / "train.jsonl")
    write_rows(held_out_rows, folder / "held_out.jsonl")
    return train_rows
