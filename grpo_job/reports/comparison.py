"""Chooses what a comparison shows: figures, settings, answers. Pure; `html.py` renders it."""

from collections.abc import Sequence

from grpo_job.reports.content import settings
from grpo_job.reports.formatting import text
from grpo_job.reports.run_data import Record, RunData, by_row

MOST_SHARED = 6
# Rows of the table: label, file, key, form.
COMPARED = (
    ("before", "summary.json", "accuracy.before", "percent"),
    ("after", "summary.json", "accuracy.after", "percent"),
    ("difference", "evaluation/evaluation.json", "primary.difference", "points"),
    ("p", "evaluation/evaluation.json", "primary.p_value", "p_value"),
    ("held-out questions", "summary.json", "accuracy.rows", "count"),
    ("correct anywhere, after", "evaluation/evaluation.json", "correct_lenient.after", "percent"),
    ("format correct, before", "summary.json", "format.before", "percent"),
    ("format correct, after", "summary.json", "format.after", "percent"),
    ("reward, last step", "metrics.jsonl", "last reward", "number"),
    ("steps", "summary.json", "steps.done", "count"),
    ("total time", "summary.json", "seconds.total", "seconds"),
    ("time to first step", "summary.json", "seconds.first_step", "seconds"),
    ("time per step (median)", "metrics.jsonl", "median step_time", "seconds"),
    ("tokens per second (median)", "metrics.jsonl", "median tokens_per_second", "count"),
    ("peak GPU memory, GiB", "metrics.jsonl", "max gpu_memory_gib", "number"),
    ("cost", "summary.json", "cost.total", "money"),
)


def differing(runs: Sequence[RunData]) -> list[tuple[str, list[str]]]:
    """The settings that differ between runs, with each run's value."""
    tables = [{row.variable: row.value for row in settings(run)} for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = [(name, [table.get(name, text(None)) for table in tables]) for name in names]
    own = ("GRPO_RUN_ID", "GRPO_OUTPUT_DIR")
    return [(name, values) for name, values in rows if len(set(values)) > 1 and name not in own]


def compared(runs: Sequence[RunData]) -> list[tuple[str, str, str, str]]:
    """The rows of COMPARED that any run has."""
    return [row for row in COMPARED if any(run.value(row[1], row[2]) is not None for run in runs)]


def form_of(run: RunData, form: str) -> str:
    """The form of a figure of the measure, which of some runs is a share and of others a mean."""
    return "number" if form in ("percent", "points") and not run.share else form


def shared_questions(runs: Sequence[RunData]) -> list[tuple[str, str, list[Record]]]:
    """Held-out questions that all runs answered, those with different results first: question, gold, records."""
    answered = [by_row([new for _, new in run.pairs]) for run in runs]
    common = [key for key in answered[0] if all(key in answers for answers in answered)]
    rows = [(*row[:2], [answers[row] for answers in answered]) for row in common]

    def alike(row: tuple[str, str, list[Record]]) -> bool:
        return len({run.measure.of(record) for run, record in zip(runs, row[2], strict=True)}) == 1

    return sorted(rows, key=alike)[:MOST_SHARED]
