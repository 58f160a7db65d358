"""This job on one GPU and on several: a fixed step shared by all (strong), and a step that grows with them (weak).

Runs `this_job.py` with one engine for each number of GPUs, one after the other, and prints one table: how many
completions a second, how near to that many times one GPU, and where the time of a step goes.

    python benchmarks/scaling.py MODEL ROWS STEPS --out DIR [--engine unsloth] [--gpus 1,2,4] [--strong 128] [--weak 64]
                                 [--caches DIR]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HEADER = (
    "scaling", "GPUs", "completions", "median step", "completions/s", "of linear", "generation", "loss, backward",
    "optimizer", "other", "first step done",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Time this job on several GPUs.")
    parser.add_argument("model", help="folder of the model")
    parser.add_argument("rows", help="GSM8K train.jsonl")
    parser.add_argument("steps", type=int)
    parser.add_argument("--engine", default="unsloth", choices=("unsloth", "trl"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the JSON files")
    parser.add_argument("--gpus", default="1,2,4", help="numbers of GPUs, the smallest first")
    parser.add_argument("--strong", type=int, default=128, help="completions a step on all GPUs together")
    parser.add_argument("--weak", type=int, default=64, help="completions a step on each GPU")
    parser.add_argument("--caches", help="folder for compile caches")
    options = parser.parse_args()
    for gpus, completions in points(options):
        path = options.out / f"{options.engine}-gpus-{gpus}-completions-{completions}.json"
        if not path.exists():
            subprocess.run(command(options, gpus, completions, path), check=True)
    measured = options.out.glob(f"{options.engine}-gpus-*.json")
    print("\n".join(table([json.loads(path.read_text()) for path in measured], options)))


def points(options: argparse.Namespace) -> list[tuple[int, int]]:
    """Each number of GPUs with the completions of a step, once where strong and weak meet."""
    gpus = [int(word) for word in options.gpus.split(",")]
    return sorted(
        {*((number, options.strong) for number in gpus), *((number, number * options.weak) for number in gpus)}
    )


def command(options: argparse.Namespace, gpus: int, completions: int, path: Path) -> list[str]:
    caches = ["--caches", options.caches] if options.caches else []
    return [
        sys.executable, str(Path(__file__).with_name("this_job.py")), options.model, options.rows, str(options.steps),
        "--engine", options.engine, "--processes", str(gpus), "--completions", str(completions), "--out", str(path),
        *caches,
    ]  # fmt: skip


def table(results: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """Markdown: the strong rows, then the weak ones."""
    found = {(result["processes"], result["completions"]): result for result in results}
    lines = [HEADER, tuple("---" for _ in HEADER)]
    for name, completions_of in (("strong", lambda gpus: options.strong), ("weak", lambda gpus: gpus * options.weak)):
        gpus_measured = sorted(gpus for gpus, completions in found if completions == completions_of(gpus))
        for gpus in gpus_measured:
            one = found[gpus_measured[0], completions_of(gpus_measured[0])]
            lines.append(row(name, found[gpus, completions_of(gpus)], one))
    return [f"| {' | '.join(line)} |" for line in lines]


def row(name: str, result: dict[str, Any], one: dict[str, Any]) -> tuple[str, ...]:
    """`one`: the same on the fewest GPUs."""
    step, parts = result["step_s_median"], result["parts"]
    known = [parts["time/generation"], parts["time/loss"] + parts["time/backward"], parts["time/optimizer"]]
    return (
        name, str(result["processes"]), str(result["completions"]), f"{step:.2f} s",
        f"{result['completions_per_s']:.1f}", f"{share_of_linear(result, one):.0%}",
        *(f"{seconds:.2f} s" for seconds in (*known, step - sum(known))), f"{result['first_step_done_s']:.0f} s",
    )  # fmt: skip


def share_of_linear(result: dict[str, Any], one: dict[str, Any]) -> float:
    """Completions a second for each GPU, of what each does where they are fewest.

    >>> share_of_linear({"completions_per_s": 72.0, "processes": 2}, {"completions_per_s": 40.0, "processes": 1})
    0.9
    """
    return float(result["completions_per_s"] / result["processes"] / (one["completions_per_s"] / one["processes"]))


if __name__ == "__main__":
    main()
