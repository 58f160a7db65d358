"""Chooses what is plotted: lines, bars and intervals with captions. Pure; `plots.py` draws them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from grpo_job.reports.run_data import RunData

MOST_POINTS = 400  # per line: a plot is about 400 pixels wide
MOST_POINTS_OF_A_PLOT = 1_600  # keeps a page of many runs small enough to mail
LABEL_WIDTH, LABEL_LINES = 15, 3  # of a run's name beside a plot
PHASES = ("check", "download", "load", "evaluate", "train", "save", "publish")  # first_step lies within others
PARTS = {"time/generation": "generation", "time/rewards": "rewards", "time/loss": "loss"}
SIDES = ("before", "warm", "after")
Unit = Literal["", "share"]


class Line(NamedTuple):
    """One run's series over steps. `spread`: half the height of its band; `place`: the index of the run."""

    label: str
    steps: list[int]
    values: list[float]
    spread: list[float] | None = None
    place: int = 0


class Panel(NamedTuple):
    """Lines over steps on one axis."""

    name: str
    title: str
    caption: str
    lines: list[Line]
    unit: Unit = ""
    smooth: bool = True
    from_zero: bool = False


class Series(NamedTuple):
    """One run's bars; `place`: the index of the run, which gives its colour in every plot."""

    label: str
    values: list[float]
    place: int = 0


class Bars(NamedTuple):
    """A value for each label and run, as horizontal bars."""

    name: str
    title: str
    caption: str
    labels: list[str]
    series: list[Series]


class Shares(NamedTuple):
    """A share with its interval before and after: (label, before, after), each (share, low, high).

    Of a run with a warm start (label, before, warm, after).
    """

    name: str
    title: str
    caption: str
    rows: list[tuple[Any, ...]]

    @property
    def has_warm(self) -> bool:
        """Whether any row has a third interval."""
        return any(len(row) > 3 for row in self.rows)


class _Metric(NamedTuple):
    name: str
    key: str
    title: str
    caption: str
    unit: Unit = ""
    spread: str | None = None
    smooth: bool = True
    from_zero: bool = False


_APART = "On training rows that were set apart to choose by."
# What each metric means is in TRL's GRPOTrainer documentation, "Logged metrics".
METRICS = (
    _Metric("reward", "reward", "Reward", "Weighted sum of all rewards, mean per step.", spread="reward_std"),
    _Metric("accuracy-in-training", "eval_accuracy", "The measure in training", _APART, "share", smooth=False),
    _Metric("measure-in-training", "eval_mean", "The measure in training", _APART, smooth=False),
    _Metric("length", "completions/mean_length", "Completion length", "Tokens, mean per step."),
    _Metric("clipped", "completions/clipped_ratio", "Truncated completions", "Share of completions.", "share"),
    _Metric(
        "groups", "frac_reward_zero_std", "Groups with zero reward std",
        "Share of prompts whose completions all got the same reward, which gives no gradient.", "share",
    ),
    _Metric(
        "dropped", "dynamic/dropped", "Groups not learned from",
        "Share of those that were generated; fresh prompts took their places.", "share",
    ),
    _Metric(
        "alike", "answers_alike", "Answers alike",
        "Across prompts: 0 as diverse as the right answers, 1 all the same.", smooth=False,
    ),
    _Metric("kl", "kl", "KL divergence", "Distance of the adapter from what training started from.", from_zero=True),
    _Metric("entropy", "entropy", "Entropy", "Of the next token. Near zero, sampling no longer explores."),
    _Metric("loss", "loss", "Loss", "The GRPO loss stays around zero; look for jumps, not for a decrease."),
    _Metric("gradient", "grad_norm", "Gradient norm", "Before clipping.", from_zero=True),
    _Metric("learning-rate", "learning_rate", "Learning rate", "From the schedule.", smooth=False, from_zero=True),
)  # fmt: skip
SPEED = (
    _Metric("step-time", "step_time", "Time per step", "Seconds, including generation.", from_zero=True),
    _Metric("tokens", "tokens_per_second", "Tokens per second", "Prompts and completions.", from_zero=True),
    _Metric("memory", "gpu_memory_gib", "GPU memory", "GiB in use on the fullest GPU.", smooth=False, from_zero=True),
)


def reward(runs: Sequence[RunData]) -> Panel | None:
    """The reward by step; None if none was logged."""
    return next(iter(_panels(runs, METRICS[:1])), None)


def training(runs: Sequence[RunData]) -> list[Panel]:
    """Each reward function, then all other training curves that were logged."""
    return [*_rewards(runs), *_panels(runs, METRICS[1:])]


def speed(runs: Sequence[RunData]) -> list[Panel]:
    """Seconds per step, tokens per second and GPU memory, if logged."""
    return _panels(runs, SPEED)


def phases(runs: Sequence[RunData]) -> Bars | None:
    """Seconds by phase, without empty phases."""
    spent = [[float(run.summary.get("seconds", {}).get(phase) or 0) for phase in PHASES] for run in runs]
    kept = [index for index in range(len(PHASES)) if any(values[index] > 0 for values in spent)]
    if not kept:
        return None
    series = [
        Series(run.name, [values[index] for index in kept], place)
        for place, (run, values) in enumerate(zip(runs, spent, strict=True))
    ]
    return Bars("phases", "Time by phase", "Seconds over all attempts.", [PHASES[index] for index in kept], series)


def parts(runs: Sequence[RunData]) -> Bars | None:
    """Mean seconds per step by part; the remainder is `other`."""
    measured = [(place, run) for place, run in enumerate(runs) if run.series("step_time")[1]]
    if not any(run.series(part)[1] for _, run in measured for part in PARTS):
        return None
    return Bars(
        "parts",
        "Time per step by part",
        "Seconds, mean over all steps. Other: backward, optimizer, weight sync.",
        [*PARTS.values(), "other"],
        [Series(run.name, _mean_parts(run), place) for place, run in measured],
    )


def accuracy(run: RunData) -> Shares | None:
    """The shares of `evaluation.json` with their 95% intervals; the measure first where it is another share."""
    own = {"primary": run.measure.name.replace(" ", "\n", 1)} if run.measure.weights and run.share else {}
    named = {"correct": "Answer correct", "correct_lenient": "Answer correct\nanywhere", "format": "Format correct"}
    return _shares((label, run.evaluation.get(key)) for key, label in {**own, **named}.items())


def accuracies(runs: Sequence[RunData]) -> Shares | None:
    """Each run's measure, of those that are measured by a share."""
    shares = (run for run in runs if run.evaluation.get("measure", {}).get("share"))
    return _shares((in_lines(run.name), run.evaluation["primary"]) for run in shares)


def in_lines(name: str) -> str:
    """A long name in up to LABEL_LINES lines, broken after its separators, so that it leaves room for the plot.

    >>> in_lines("a-run-with-a-rather-long-name"), in_lines("short")
    ('a-run-with-a-\\nrather-long-\\nname', 'short')
    """
    parts = (part[at : at + LABEL_WIDTH] for part in re.findall(r"[^-_./]*[-_./]?", name) if part
             for at in range(0, len(part), LABEL_WIDTH))  # fmt: skip
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > LABEL_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines if len(lines) <= LABEL_LINES else [*lines[: LABEL_LINES - 1], f"…{lines[-1]}"])


def _shares(judged: Iterable[tuple[str, dict[str, Any] | None]]) -> Shares | None:
    rows = [
        (label, *((found[when], *found[f"{when}_interval"]) for when in SIDES if when in found))
        for label, found in judged
        if found
    ]
    return Shares("accuracy", "Held-out questions", "With 95% Wilson intervals.", rows) if rows else None


def _rewards(runs: Sequence[RunData]) -> list[Panel]:
    names = dict.fromkeys(name for run in runs for name in run.reward_names)
    caption = "Mean per step, before weighting."
    return _panels(
        runs,
        [
            _Metric(f"reward-{name}", f"rewards/{name}/mean", f"Reward {name}", caption, spread=f"rewards/{name}/std")
            for name in names
        ],
    )


def _panels(runs: Sequence[RunData], metrics: Sequence[_Metric]) -> list[Panel]:
    panels = (
        Panel(one.name, one.title, one.caption, _lines(runs, one), one.unit, one.smooth, one.from_zero)
        for one in metrics
    )
    return [panel for panel in panels if panel.lines]


def _lines(runs: Sequence[RunData], metric: _Metric) -> list[Line]:
    """A line for each run that logged the metric; with a band only for a single run."""
    lines = []
    for place, run in enumerate(runs):
        steps, values = run.series(metric.key)
        spread = run.series(metric.spread)[1] if metric.spread and len(runs) == 1 else []
        if steps:
            line = Line(run.name, steps, values, spread if len(spread) == len(steps) else None, place)
            lines.append(_thinned(line, len(runs)))
    return lines


def _thinned(line: Line, lines: int = 1) -> Line:
    """The line with as many points as fit: each is the mean of several steps, at the last of them."""
    width = -(-len(line.steps) // min(MOST_POINTS, MOST_POINTS_OF_A_PLOT // lines))
    if width <= 1:
        return line
    starts = range(0, len(line.steps), width)

    def means(values: list[float]) -> list[float]:
        return [sum(chunk) / len(chunk) for chunk in (values[start : start + width] for start in starts)]

    steps = [line.steps[min(start + width, len(line.steps)) - 1] for start in starts]
    return line._replace(steps=steps, values=means(line.values), spread=means(line.spread) if line.spread else None)


def _mean_parts(run: RunData) -> list[float]:
    steps = len(run.series("step_time")[1])
    means = [sum(run.series(part)[1]) / steps for part in PARTS]
    whole = sum(run.series("step_time")[1]) / steps
    return [*means, max(0.0, whole - sum(means))]
