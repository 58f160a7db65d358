"""This job's reward, math-verify and TRL's accuracy reward, side by side over the shared cases.

python benchmarks/graders.py [CASES]
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from grpo_job.rewards import MENU

CASES = Path(__file__).parents[1] / "tests" / "rewards" / "grading.jsonl"
Case = dict[str, str]


def product(case: Case) -> float | None:
    return MENU[case["reward"]](case["completion"], case["answer"])


def math_verify(case: Case) -> float | None:
    from math_verify import parse, verify

    return float(verify(parse(case["answer"]), parse(case["completion"])))


def trl(case: Case) -> float | None:
    from trl.rewards import accuracy_reward

    (score,) = accuracy_reward([[{"role": "assistant", "content": case["completion"]}]], [case["answer"]])
    return score


def row(name: str, grade: Callable[[Case], float | None], cases: list[Case]) -> str:
    grade(cases[0])  # imports
    right, wrong, seconds = 0, 0, []
    for case in cases:
        started = time.perf_counter()
        paid = grade(case) == 1.0
        seconds.append(time.perf_counter() - started)
        right += paid and case["expected"] == 1.0
        wrong += paid and case["expected"] == 0.0
    all_right = sum(case["expected"] == 1.0 for case in cases)
    median, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
    recall = f"{right} of {all_right} ({right / all_right:.1%})"
    return f"| {name} | {recall} | {wrong} of {len(cases) - all_right} | {1000 * median:.2f} | {1000 * p99:.1f} |"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CASES
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    print("| grader | right ones paid | wrong ones paid | median ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    for name, grade in (("this job", product), ("math-verify", math_verify), ("TRL accuracy_reward", trl)):
        print(row(name, grade, cases), flush=True)


if __name__ == "__main__":
    main()
