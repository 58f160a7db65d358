"""Markdown tables from the folders of a benchmark's runs: one line a run, and one line for all seeds of a name."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job.run_folder.files import read_json, read_jsonl
from grpo_job.run_folder.paths import RunFolder

Result = dict[str, Any]

HEADER = (
    "run", "yardstick", "rows", "seed", "anywhere before", "anywhere after", "in tags before", "in tags after",
    "distinct answers", "completions", "steps", "GPU-minutes", "wall", "exit", "verdict",
)  # fmt: skip
BY_NAME = (
    "run", "yardstick", "rows", "seeds", "anywhere before", "anywhere after", "worst seed", "in tags after",
    "GPU-minutes", "points for a GPU-minute", "worse or collapsed",
)  # fmt: skip


def read_all(out: Path) -> list[Result]:
    """The results of all runs below `out` that have ended."""
    return [read(path.parent) for path in sorted(out.glob("*/run.json"))]


def read(folder: Path) -> Result:
    """What a run was told, and what it came to; without an evaluation if it did not get there."""
    run = RunFolder(folder)
    told, summary = read_json(folder / "run.json"), read_json(run.summary)
    judged = read_json(run.verdict)
    return {
        **told,
        "verdict": judged.get("verdict") or (summary.get("ending") or {}).get("reason") or _last_line(folder),
        "base": (summary.get("accuracy") or {}).get("before"),
        "anywhere": judged.get("correct_lenient"),
        "tags": judged.get("correct"),
        "distinct": len({row["answer"] for row in read_jsonl(run.after)}),
        "steps": (summary.get("steps") or {}).get("done", 0),
        "completions": completions(run, (summary.get("steps") or {}).get("done", 0)),
        "minutes": told["wall"] / 60 if told["gpu"] is not None else None,
    }


def completions(run: RunFolder, steps: int) -> int:
    """Those that were generated; with dynamic sampling they are in the metrics."""
    counted = [row["dynamic/completions"] for row in read_jsonl(run.metrics) if "dynamic/completions" in row]
    return int(sum(counted)) if counted else steps * completions_per_step(read_json(run.settings))


def completions_per_step(told: dict[str, Any]) -> int:
    """From `settings.json`.

    >>> completions_per_step({"settings": {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 4}})
    64
    """
    found = told.get("settings", {})
    return int(found.get("per_device_train_batch_size", 0)) * int(found.get("gradient_accumulation_steps", 1))


def _last_line(folder: Path) -> str:
    """What a run without an ending said last."""
    log = folder.with_name(f"{folder.name}.log")
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line for line in reversed(lines) if line.strip()), "no ending")


def text(results: Sequence[Result]) -> str:
    """Both tables."""
    return f"{table(HEADER, [line(one) for one in results])}\n\n{table(BY_NAME, by_name(results))}\n"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines))


def line(result: Result) -> list[str]:
    return [
        result["name"],
        result["yardstick"],
        result["part"],
        str(result["seed"]),
        *(_share(result[kind], when) for kind in ("anywhere", "tags") for when in ("before", "after")),
        str(result["distinct"]) if result["anywhere"] else "",
        f"{result['completions']:,}",
        str(result["steps"]),
        "" if result["minutes"] is None else f"{result['minutes']:.1f}",
        f"{result['wall']:.0f} s",
        str(result["exit"]),
        str(result["verdict"])[:90].replace("|", "/").replace("\n", " "),
    ]


def _share(found: dict[str, Any] | None, when: str) -> str:
    """A share with Wilson's interval."""
    if found is None:
        return ""
    low, high = found[f"{when}_interval"]
    return f"{found[when]:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def by_name(results: Sequence[Result]) -> list[list[str]]:
    """A line for each name on each yardstick, the best mean first. A run without an evaluation gained nothing."""
    groups = defaultdict(list)
    for one in results:
        groups[one["name"], one["yardstick"], one["part"]].append(one)
    return [
        [*key, *_of_seeds(group)]
        for key, group in sorted(groups.items(), key=lambda item: -statistics.fmean(map(_after, item[1])))
    ]


def _of_seeds(group: Sequence[Result]) -> list[str]:
    worst = min(group, key=_after)
    bad = [one["seed"] for one in group if one["verdict"] in ("worse", "collapsed")]
    timed = [one for one in group if one["minutes"]]
    return [
        str(len(group)),
        f"{statistics.fmean(map(_before, group)):.1%}",
        mean_with_interval([_after(one) for one in group], "%"),
        f"{_after(worst):.1%} (seed {worst['seed']})",
        mean_with_interval([(one["tags"] or {}).get("after", 0.0) for one in group], "%"),
        f"{statistics.fmean(one['minutes'] for one in timed):.1f}" if timed else "",
        mean_with_interval([100 * (_after(one) - _before(one)) / one["minutes"] for one in timed], ""),
        ", ".join(f"seed {seed}" for seed in bad) or "none",
    ]


def _after(result: Result) -> float:
    return float(result["anywhere"]["after"]) if result["anywhere"] else _before(result)


def _before(result: Result) -> float:
    return float(result["anywhere"]["before"]) if result["anywhere"] else result["base"] or 0.0


def mean_with_interval(numbers: Sequence[float], unit: str) -> str:
    """The mean over seeds with Student's 95 % interval (Biometrika 6, 1908), if there is more than one.

    >>> mean_with_interval([0.5], "%"), mean_with_interval([0.8, 0.9, 1.0], "%")
    ('50.0%', '90.0% [65.2, 114.8]')
    """
    from scipy.stats import t

    if not numbers:
        return ""
    scale = 100 if unit == "%" else 1
    mean = scale * statistics.fmean(numbers)
    if len(numbers) == 1:
        return f"{mean:.1f}{unit}"
    reach = scale * t.ppf(0.975, len(numbers) - 1) * statistics.stdev(numbers) / len(numbers) ** 0.5
    return f"{mean:.1f}{unit} [{mean - reach:.1f}, {mean + reach:.1f}]"
