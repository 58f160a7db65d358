"""This job's reward, math-verify and TRL's accuracy reward, side by side over the shared cases.

    python -m benchmarks.graders [CASES]

Each grader gets what its documentation asks for. This job's rewards get the completion as it is. math-verify and TRL's
reward get the gold answer in `$...$`; of a completion with an answer block math-verify gets its content, formulas in
`$...$`, and TRL's reward gets it in a box. An exception counts as not paid.
"""

import contextlib
import importlib.metadata
import json
import logging
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from grpo_job.rewards import MENU, answers

CASES = Path(__file__).parents[1] / "tests" / "rewards" / "grading.jsonl"
Case = dict[str, str]
Grader = Callable[[Case], float | None]


def product(case: Case) -> float | None:
    return MENU[case["reward"]](case["completion"], case["answer"])


def math_verify(case: Case) -> float | None:
    from math_verify import parse, verify

    content = answers.extract_answer(case["completion"])
    if content and re.search(r"[\\^_{}=<>()\[\],|]", content) and "$" not in content:
        content = f"${content}$"
    return float(verify(parse(in_math(case)), parse(content or case["completion"])))


def trl(case: Case) -> float | None:
    from trl.rewards import accuracy_reward

    content = answers.extract_answer(case["completion"])
    text = rf"\boxed{{{content}}}" if content else case["completion"]
    (score,) = accuracy_reward([[{"role": "assistant", "content": text}]], [in_math(case)])
    return score


def in_math(case: Case) -> str:
    return f"${case['answer']}$"


def row(name: str, grade: Grader, cases: list[Case]) -> str:
    grade(cases[0])  # imports
    right, wrong, seconds = 0, 0, []
    for case in cases:
        started, paid = time.perf_counter(), False
        with contextlib.suppress(Exception):  # what it raises, it does not pay
            paid = grade(case) == 1.0
        seconds.append(time.perf_counter() - started)
        right += paid and case["expected"] == 1.0
        wrong += paid and case["expected"] == 0.0
    all_right = sum(case["expected"] == 1.0 for case in cases)
    median, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
    recall = f"{right} of {all_right} ({right / all_right:.1%})"
    return f"| {name} | {recall} | {wrong} of {len(cases) - all_right} | {1000 * median:.2f} | {1000 * p99:.1f} |"


def main() -> None:
    logging.disable(logging.ERROR)  # math-verify warns of what it cannot read
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CASES
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    versions = {name: importlib.metadata.version(name) for name in ("math-verify", "trl")}
    print("| grader | right ones paid | wrong ones paid | median ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    graders: dict[str, Grader] = {
        "this job": product,
        f"math-verify {versions['math-verify']}": math_verify,
        f"TRL {versions['trl']} accuracy_reward": trl,
    }
    for name, grade in graders.items():
        print(row(name, grade, cases), flush=True)


if __name__ == "__main__":
    main()
