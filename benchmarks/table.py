"""One table from the contestants' JSON files, on standard output or appended to RESULTS.md.

    python benchmarks/table.py results/*.json [--append benchmarks/RESULTS.md]

The whole job is the first step and 249 more at the median. `x tutorial` says how many times
sooner than the tutorial that is, cold against cold and warm against warm, at the same number
of completions. The floor is what the hardware needs for a step of the 3B shape on an H200:
reading the weights once a token and the arithmetic at its measured rate.
"""

import argparse
import json
from bisect import bisect_left
from operator import itemgetter
from pathlib import Path
from typing import Any

JOB_STEPS = 250
# Completions a step -> seconds: 6.2 GB of weights a token at 4.3 TB/s, work at 790 TFLOP/s.
FLOOR = {4: 0.48, 64: 1.17, 256: 3.4}
FLOOR_GPU = "H200"
TOKENS = 200  # of every completion, unless a result says that they end by themselves

HEADER = (
    "contestant", "completions", "start", "first step done", "median step", "completions/s", "tokens/s",
    "peak memory", "250 steps", "x tutorial", "of the floor",
)  # fmt: skip


def job_seconds(result: dict[str, Any]) -> float:
    """The whole job: first step, and the rest at the median.

    >>> job_seconds({"first_step_done_s": 81.0, "step_s_median": 1.2})
    379.8
    """
    return round(result["first_step_done_s"] + (JOB_STEPS - 1) * result["step_s_median"], 1)


def floor_seconds(completions: int) -> float:
    """Between the points that were worked out, in a straight line; beyond them, the nearest line goes on.

    >>> [floor_seconds(4), floor_seconds(64), round(floor_seconds(34), 3)]
    [0.48, 1.17, 0.825]
    """
    points = sorted(FLOOR)
    right = min(max(bisect_left(points, completions), 1), len(points) - 1)
    low, high = points[right - 1], points[right]
    slope = (FLOOR[high] - FLOOR[low]) / (high - low)
    return FLOOR[low] + slope * (completions - low)


def start_of(result: dict[str, Any]) -> str:
    return {True: "cold", False: "warm", None: "as found"}[result.get("cold")]


def longest_of(result: dict[str, Any]) -> int:
    return int(result.get("longest", TOKENS))


def row(result: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    return [
        result["contestant"] + ("" if (most := longest_of(result)) == TOKENS else f", up to {most} tokens"),
        str(result["completions"]),
        start_of(result),
        f"{result['first_step_done_s']:.0f} s",
        f"{result['step_s_median']:.2f} s",
        f"{result['completions_per_s']:.1f}",
        f"{result['tokens_per_s']:.0f}",
        f"{result['peak_torch_gb']:.0f} / {result['peak_used_gb']:.0f} GB",
        f"{job_seconds(result) / 60:.1f} min",
        _ratio(result, results),
        _share_of_floor(result),
    ]


def _ratio(result: dict[str, Any], results: list[dict[str, Any]]) -> str:
    same = [
        other
        for other in results
        if other["contestant"] == "tutorial"
        and all(of(other) == of(result) for of in (itemgetter("completions"), start_of, longest_of))
    ]
    return f"{job_seconds(same[-1]) / job_seconds(result):.2f}" if same else ""


def _share_of_floor(result: dict[str, Any]) -> str:
    is_3b = "3b" in Path(result.get("model", "3b")).name.lower()
    if FLOOR_GPU not in result.get("gpu", "") or not is_3b or longest_of(result) != TOKENS:
        return ""
    return f"{100 * floor_seconds(result['completions']) / result['step_s_median']:.0f} %"


def table(results: list[dict[str, Any]]) -> str:
    """Markdown, the same completions and starts side by side, the slowest job first."""
    ordered = sorted(results, key=lambda one: (one["completions"], start_of(one), -job_seconds(one)))
    lines = [HEADER, tuple("---" for _ in HEADER), *(tuple(row(one, results)) for one in ordered)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(results: list[dict[str, Any]]) -> str:
    """The table under a heading with date, GPU, driver and commit, the commands below it."""
    machines = sorted({f"{one['gpu']} ({one['gpu_uuid']}), driver {one['driver']}" for one in results})
    commits = sorted({one["commit"] for one in results})
    dates = sorted(one["date"] for one in results)
    commands = sorted({one["command"] for one in results})
    return "\n".join(
        [
            f"## {dates[-1][:10]}",
            "",
            f"{'; '.join(machines)}; commit {', '.join(commits)}; {dates[0]} to {dates[-1]}.",
            "Peak memory: PyTorch's allocator / nvidia-smi.",
            "",
            table(results),
            "",
            *(f"    {command}" for command in commands),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="One table from the contestants' JSON files.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--append", type=Path, help="file to append the table to, such as benchmarks/RESULTS.md")
    options = parser.parse_args()
    results = [json.loads(file.read_text()) for file in options.files]
    print(table(results))
    if options.append:
        with options.append.open("a") as file:
            file.write(section(results) + "\n")


if __name__ == "__main__":
    main()
