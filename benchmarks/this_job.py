"""This job as a contestant: `entrypoint.py` is run as users run it, and its run folder is read.

Model, rows and hyperparameters are the others'; precision, memory share and hand-over are the
plan's (recipe `gsm8k` with the tutorial's values, and what the plan decides at `auto`). The first step is
counted from the start of the process, with the evaluation of the base on a few rows inside,
which the others do not do.

    python benchmarks/this_job.py MODEL ROWS STEPS --out job.json [--completions N] [--caches DIR]
                                  [--engine trl] [--processes 2]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measure

ROOT = Path(__file__).resolve().parent.parent
EVAL_ROWS = 4


def main() -> None:
    parser = measure.arguments("this job")
    parser.add_argument("--engine", default="unsloth", choices=("unsloth", "trl"))
    parser.add_argument("--processes", type=int, default=1, help="GPUs, one process each")
    options = parser.parse_args()
    cold = measure.use_caches(options.caches)
    used = measure.PeakUsed()
    with tempfile.TemporaryDirectory() as outputs:
        variables = {
            **{f"GRPO_{name.upper()}": str(value) for name, value in measure.training(options).items()},
            "GRPO_LORA_RANK": "8",
            "GRPO_LORA_ALPHA": "8",
            "GRPO_MAX_SEQ_LENGTH": str(measure.sequence(options)),
            "GRPO_MODEL": options.model,
            "GRPO_DATASET": str(options.rows.resolve()),
            "GRPO_EVAL_ROWS": str(EVAL_ROWS),
            "GRPO_MAX_STEPS": str(options.steps),
            "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": str(options.completions),
            "GRPO_ENGINE": options.engine,
            "GRPO_PROCESSES": str(options.processes),
            "GRPO_REWARDS": "correct:1,measure.distinct_characters:1",
            "GRPO_REWARD_PATH": str(Path(__file__).resolve().parent),
            "GRPO_OUTPUT_DIR": outputs,
            "GRPO_RUN_ID": "benchmark",
        }
        subprocess.run([sys.executable, str(ROOT / "entrypoint.py")], env={**os.environ, **variables}, check=True)
        folder = Path(outputs) / "benchmark"
        summary = json.loads((folder / "summary.json").read_text())
        planned = json.loads((folder / "environment.json").read_text())["plan"]["memory"]["total"]
        metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    result = table_row(options, cold, summary, metrics, used.gigabytes())
    result["planned_gb"] = round(planned / 1e9, 2)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "step_s"}))


def table_row(
    options: Any, cold: bool | None, summary: dict[str, Any], metrics: list[dict[str, Any]], used: float
) -> dict[str, Any]:
    """The schema that `table.py` reads."""
    steps = [row["time/step"] for row in metrics[1:]]
    median = statistics.median(steps)
    tokens = statistics.mean(row["completions/mean_length"] for row in metrics[1:]) * options.completions
    return {
        "contestant": f"this job, {options.engine}",
        "processes": options.processes,
        "model": options.model,
        "cold": cold,
        "completions": options.completions,
        "longest": options.longest,
        "steps": len(metrics),
        "first_step_done_s": round(summary["seconds"]["first_step"], 1),
        "step_s_median": round(median, 4),
        "step_s": [round(step, 4) for step in steps],
        "completions_per_s": round(options.completions / median, 2),
        "tokens_per_s": round(tokens / median, 1),
        "peak_torch_gb": round(max(row["gpu_memory_gib"] for row in metrics) * 2**30 / 1e9, 2),
        "peak_used_gb": used,
        "phases": summary["seconds"],
        "parts": {
            part: round(statistics.median(row[part] for row in metrics[1:]), 4)
            for part in metrics[-1]
            if part.startswith("time/")
        },
        **measure.machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
    }


if __name__ == "__main__":
    main()
