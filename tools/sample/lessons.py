"""What the model learns before GRPO: the answer format, and to skip steps.

    <reasoning>
    3 + 4 = 7
    7 - 2 = 5
    </reasoning>
    <answer>
    5
    </answer>

Many answers skip the last step (`CARELESS`). If most do, the greedy answer is wrong but sampled ones are often correct,
which is what GRPO needs: some completions of a group are correct. The arithmetic is always correct.
"""

import random
from collections.abc import Iterator

from tools.sample.problems import Operation, Problem, solution, tell, training_problems, worked_lines

SEED = "supervised 20"  # a test draws the same lessons again and looks for held-out problems
COUNT = 38_400
# How often the last step is left out, by what that step does. Only a last "+" is more often done than not.
CARELESS: dict[Operation, float] = {"+": 0.35, "-": 0.62, "*": 0.62, "/": 0.62}


def lessons(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Endless training questions with their target answers."""
    for problem in training_problems(rng):
        yield tell(problem, rng), completion(taught(problem, rng))


def completion(problem: Problem) -> str:
    """The correct completion."""
    lines = "\n".join(worked_lines(problem))
    return f"<reasoning>\n{lines}\n</reasoning>\n<answer>\n{solution(problem)}\n</answer>"


def taught(problem: Problem, rng: random.Random) -> Problem:
    """The problem whose answer is taught: itself, or without its last step."""
    if len(problem.steps) > 1 and rng.random() < CARELESS[problem.steps[-1].operation]:
        return problem._replace(steps=problem.steps[:-1])
    return problem
