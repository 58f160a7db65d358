"""`.eval_results/*.yaml`: the result as the Hub shows it beside a benchmark, https://huggingface.co/docs/hub/eval-results.

Only for all rows of a registered benchmark's own split. Every other result is in the card's `model-index` alone.
"""

from pathlib import Path
from typing import NamedTuple

from grpo_job.reports.run_data import RunData
from grpo_job.run_folder.files import write_text

FILE = Path(".eval_results", "grpo-job.yaml")


class Benchmark(NamedTuple):
    """Its task at the Hub, and the configuration, split and number of rows that the task means."""

    task: str
    config: str
    split: str
    rows: int


BENCHMARKS = {"openai/gsm8k": Benchmark("gsm8k", "main", "test", 1319)}


def write(run: RunData, adapter: Path) -> Path | None:
    """Write the file beside the adapter; remove an earlier one, and return None, if the rows were no benchmark."""
    import yaml

    path = adapter / FILE
    entries = results(run)
    if not entries:
        path.unlink(missing_ok=True)
        return None
    write_text(path, yaml.safe_dump(entries, sort_keys=False))
    return path


def results(run: RunData) -> list[dict[str, object]]:
    """The share of right answers after training, in per cent; empty if the rows were no whole benchmark."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    rows, settings = run.environment.get("dataset") or {}, run.settings
    name, judged = str(settings.get("eval_dataset") or rows.get("name")), run.evaluation.get("correct_lenient")
    benchmark, commit = BENCHMARKS.get(name), rows.get("commit")
    if not benchmark or not commit or not judged or settings.get("eval_dataset"):
        return []
    asked = settings.get("dataset_config") or benchmark.config, settings.get("eval_split") or "test", judged["rows"]
    if asked != (benchmark.config, benchmark.split, benchmark.rows):
        return []
    notes = "greedy, answer read anywhere in the text; LoRA adapter trained with GRPO on the train split"
    value = round(100 * judged["after"], 2)
    entry = EvalResultEntry(name, benchmark.task, value, dataset_revision=commit, notes=notes)
    found: list[dict[str, object]] = eval_result_entries_to_yaml([entry])
    return found
