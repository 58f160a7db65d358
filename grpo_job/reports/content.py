"""Chooses what a report shows of a run: headline, figures, settings. Pure; `html.py` renders it."""

from typing import NamedTuple

from grpo_job.reports.formatting import clean, count, mebibytes, text
from grpo_job.reports.loaded_back import verified
from grpo_job.reports.run_data import Record, RunData
from grpo_job.settings.example import AUTO
from grpo_job.settings.schema import variable

STATES = {
    "improved": ("good", "Improved"),
    "no evidence of a change": ("warn", "No evidence of a change"),
    "worse": ("bad", "Worse"),
    "not judged": ("warn", "Not judged: too few held-out rows"),
    "collapsed": ("bad", "Collapsed: few different answers, whatever is asked"),
}
MOST_STEPS = 200
STEP_COLUMNS = (
    "reward", "reward_std", "completions/mean_length", "completions/clipped_ratio", "frac_reward_zero_std", "kl",
    "answers_alike", "entropy", "loss", "grad_norm", "step_time",
)  # fmt: skip
JUDGED = (
    ("correct", "Answer correct", "in the answer block"),
    ("correct_lenient", "Answer correct anywhere", "the last answer in the text"),
    ("format", "Format correct", "the requested tags"),
)


class Judged(NamedTuple):
    """One line of the table of accuracy: key in `evaluation.json`, what it is, and whether it is a share."""

    key: str
    label: str
    meaning: str
    share: bool = True


class Headline(NamedTuple):
    """`tone` is good, warn, bad or live; `notice` says how the run ended if not with success."""

    tone: str
    title: str
    notice: str


class Setting(NamedTuple):
    variable: str
    value: str
    origin: str


def headline(run: RunData) -> Headline:
    """The verdict; without one, the state of the run."""
    if run.live:
        steps = run.summary.get("steps") or {}
        return Headline(
            "live", f"Live: step {steps.get('done', 0)} of {steps.get('planned') or '?'}, no verdict yet", ""
        )
    ending = run.summary.get("ending") or {}
    kind = ending.get("kind", "unknown")
    notice = clean(ending.get("reason") or "no summary.json was written")
    if ended_well(run):
        notice = clean(run.summary.get("stopped") or "")
    if verdict := run.value("summary.json", "accuracy.verdict") or run.evaluation.get("verdict"):
        tone, title = STATES.get(verdict, ("warn", str(verdict)))
        return Headline(tone, title, notice)
    title = "No verdict: stopped, because the run could not succeed" if kind == "hopeless" else f"No verdict: {kind}"
    return Headline("warn" if kind in ("running", "interrupted") else "bad", title, notice)


def ended_well(run: RunData) -> bool:
    """Whether the run finished, or is judged and about to: the report is written before it is published and ends."""
    ending = run.summary.get("ending") or {}
    return ending.get("code") == 0 or (ending.get("kind") == "running" and bool(run.evaluation))


def judged(run: RunData) -> list[Judged]:
    """The measure of the run where it is none of JUDGED, and those."""
    beside = [Judged(*row) for row in JUDGED if run.evaluation.get(row[0])]
    own = [Judged("primary", run.measure.name, "the measure of this run", run.share)] if run.measure.weights else []
    return [*own, *beside]


def settings(run: RunData) -> list[Setting]:
    """All settings of the run, non-default ones first."""
    values = {name: value for name, value in run.settings.items() if name != "grpo_config"}
    values |= run.settings.get("grpo_config") or {}
    rows = [Setting(variable(name), text(value), run.origins.get(name, "")) for name, value in values.items()]
    return sorted(rows, key=lambda row: _rank(row.origin))


def machine(run: RunData) -> str:
    """The hardware, such as `2 × NVIDIA H200 (139.8 GiB each, driver 580.95)`."""
    gpus = run.environment.get("gpus") or []
    if not gpus:
        return "a CPU" if run.environment else "an unknown machine"
    several = f"{len(gpus)} × " if len(gpus) > 1 else ""
    each = " each" if several else ""
    return f"{several}{gpus[0]['name']} ({mebibytes(gpus[0]['memory_mib'])}{each}, driver {gpus[0]['driver']})"


def origin(run: RunData) -> list[tuple[str, str]]:
    """Model, rows, machine and adapter, with their revisions."""
    model, rows = (run.environment.get(key) or {} for key in ("model", "dataset"))
    adapter = run.summary.get("adapter") or {}
    facts = {
        "model": text(model.get("name") or run.settings.get("model")),
        "model revision": text(model.get("commit")),
        "rows": text(rows.get("name") or run.settings.get("dataset")),
        "rows revision": text(rows.get("commit")),
        "training rows": counted(rows.get("train")),
        "held-out rows": counted(rows.get("held_out")),
        "engine": text(run.environment.get("engine")),
        "machine": machine(run),
        "platform": text(run.environment.get("platform")),
        "adapter": text(adapter.get("path")),
        "adapter SHA-256": text(adapter.get("sha256")),
        "attempts": count(run.summary.get("attempts") or 1),
    }
    if run.start_adapter:
        facts["started from"] = run.start_adapter
    if kept := run.summary.get("kept"):
        facts["step of the adapter"] = (
            f"{count(kept['step'])} (GRPO_KEEP=best, by training rows set apart to choose by)"
        )
    if run.example:
        whose = "start adapter" if run.start_adapter else "base"
        why = f" (GRPO_EXAMPLE=auto: the {whose} was right, but never in the tags)"
        facts["worked example"] = f"ends the system message{why if run.settings['example'] == AUTO else ''}"
    if merged := run.summary.get("merged"):
        facts["merged model"] = merged_keeps(merged)
    if found := run.summary.get("verify"):
        facts["loaded back"] = verified(found)
    return list(facts.items())


def merged_keeps(merged: Record) -> str:
    """What a merged model keeps of the adapter; `merged` of the summary, shares between 0 and 1.

    >>> merged_keeps({"dtype": "bfloat16", "kept": {"bfloat16": 0.031, "float16": 0.4, "float32": 1.0}})
    "bfloat16, keeps 3% of the adapter's update (others would: float16 40%, float32 100%)"
    """
    written, kept = merged["dtype"], merged["kept"]
    if kept[written] is None:
        return f"{written}; the adapter changes nothing"
    others = ", ".join(f"{name} {share:.0%}" for name, share in _more(merged))
    better = f" (others would: {others})" if others else ""
    return f"{written}, keeps {min(1.0, kept[written]):.0%} of the adapter's update{better}"


def _more(merged: Record) -> list[tuple[str, float]]:
    """The other types that keep clearly more, and their shares."""
    own = merged["kept"][merged["dtype"]]
    return [(name, min(1.0, share)) for name, share in merged["kept"].items() if share > own + 0.05]


def counted(counts: Record | None) -> str:
    """Rows kept of a split, and why others were left out: `2 of 4 (1 duplicate, 1 in training)`."""
    if not counts:
        return text(None)
    reasons = [f"{count(n)} {why.replace('_', ' ')}" for why, n in counts.items() if n and why not in ("read", "kept")]
    return f"{count(counts['kept'])} of {count(counts['read'])}" + (f" ({', '.join(reasons)})" if reasons else "")


def in_all(run: RunData, what: str) -> tuple[str, str]:
    """Key and label of the total `seconds` or `cost`: as of when the report was written, if it was."""
    described = f"before_publishing.{what}"
    if run.value("summary.json", described) is not None and not run.live:
        return described, "total without publishing"
    return f"{what}.total", "total"


def cost_phases(run: RunData) -> list[str]:
    """The phases in `cost` of the summary. Publishing has not ended when a report is published."""
    later = ("publish", "total")
    return [name for name, value in run.summary["cost"].items() if name not in later and isinstance(value, int | float)]


def findings(run: RunData) -> list[Record]:
    """The health findings of the summary."""
    return [{**found, "message": clean(found["message"])} for found in run.summary.get("health", ())]


def steps(run: RunData) -> tuple[list[str], list[Record]]:
    """Columns and rows of the step table; for a long run evenly spaced ones, with the first and the last."""
    columns = ["step", *(key for key in STEP_COLUMNS if key in run.keys)]
    rows = run.metrics
    if len(rows) > MOST_STEPS:
        rows = [rows[round(index * (len(rows) - 1) / (MOST_STEPS - 1))] for index in range(MOST_STEPS)]
    return columns, rows


def _rank(origin: str) -> int:
    known = {"command line": 0, "environment": 1, "default": 4, "": 4}
    return 2 if origin.startswith("file ") else known.get(origin, 3)  # a recipe's name is in the origin
