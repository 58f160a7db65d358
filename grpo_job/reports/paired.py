"""Compares the answers of several runs to the held-out rows that they share: a paired test, and what is not alike."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from grpo_job.evaluation import statistics, verdict
from grpo_job.evaluation.measure import Measure
from grpo_job.reports.run_data import Record, Row, RunData, by_row
from grpo_job.settings.schema import variable


class Paired(NamedTuple):
    """A run against the first one: `found` is `statistics.compare` on the shared rows, first run `before`."""

    first: RunData
    run: RunData
    found: dict[str, Any]
    verdict: str


def tests(runs: Sequence[RunData]) -> list[Paired]:
    """Each later run against the first, where both have the same measure and shared rows.

    With several tests, p-values are Holm's (S. Holm, Scand. J. Statistics 6, 1979): corrected for their number.
    """
    found = [(run, compared) for run in runs[1:] if (compared := _compared(runs[0], run))]
    corrected = holm([compared["p_value"] for _, compared in found])
    return [
        Paired(runs[0], run, {**compared, "p_value": p}, _verdict(runs[0], run, compared, p))
        for (run, compared), p in zip(found, corrected, strict=True)
    ]


def _verdict(first: RunData, run: RunData, compared: dict[str, Any], p: float) -> str:
    """In words for a page: which run is better. As in a run's own verdict, answers that ignore the question are not."""
    word = statistics.verdict(abs(compared["difference"]), p, compared["rows"])
    if word == statistics.UNJUDGED:
        return word
    sides = [*zip(*_shared(first, run), strict=True)]
    lower, higher = sides if compared["difference"] > 0 else sides[::-1]
    if verdict.decide(word, verdict.read(lower, higher, run.measure)) != statistics.IMPROVED:
        return "no evidence of a difference"
    return "better" if compared["difference"] > 0 else "worse"


def holm(p_values: Sequence[float]) -> list[float]:
    """
    >>> holm([0.01, 0.04, 0.03]), holm([0.2])
    ([0.03, 0.06, 0.06], [0.2])
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def warnings(runs: Sequence[RunData]) -> list[str]:
    """A sentence for each reason why the later runs cannot be compared with the first as they stand."""
    return [sentence for run in runs[1:] for sentence in _unlike(runs[0], run)]


def _compared(first: RunData, run: RunData) -> dict[str, Any] | None:
    graded = [pair for pair in _paid(first, run) if None not in pair]
    return statistics.compare(*zip(*graded, strict=True)) if graded else None


def _paid(first: RunData, run: RunData) -> list[tuple[float | None, float | None]]:
    """What the measure of both paid for each shared row; nothing where they have no measure in common."""
    if first.measure != run.measure:
        return []
    return [(first.measure.of(ours), run.measure.of(theirs)) for ours, theirs in _shared(first, run)]


def _shared(first: RunData, run: RunData) -> list[tuple[Record, Record]]:
    ours, theirs = by_row(first.answers_after), by_row(run.answers_after)
    return [(ours[row], theirs[row]) for row in ours if row in theirs]


def _unlike(first: RunData, run: RunData) -> Iterator[str]:
    both = f"{first.name} and {run.name}"
    without = [one.name for one in (first, run) if not one.answers_after]
    if without:
        yield f"{' and '.join(without)}: no answers after training, so nothing is compared"
        return
    if first.measure != run.measure:
        measures = "; ".join(_told(one.measure) for one in (first, run))
        yield f"{both} are judged by different measures ({measures}), so no test is made"
    yield from _unlike_rows(both, by_row(first.answers_after), by_row(run.answers_after))
    if ungraded := sum(None in pair for pair in _paid(first, run)):
        yield f"{both}: {ungraded} of the shared rows were not graded in both: the test leaves these out"
    if differ := _differing(_asking(first), _asking(run)):
        yield f"{both} were asked with different prompts ({', '.join(differ)}): the test compares prompts too"
    if differ := _differing(_grading(first), _grading(run)):
        yield f"{both} were graded differently ({', '.join(differ)}): the test compares graders too"


def _differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [name for name in ours if ours[name] != theirs[name]]


def _asking(run: RunData) -> dict[str, Any]:
    """What decides how a held-out question is asked, by setting."""
    named = ("chat_template", "chat_template_kwargs", "prompt_column", "max_completion_length", "generation_kwargs")
    further = run.settings.get("grpo_config") or {}
    found = {variable(name): run.settings.get(name, further.get(name)) for name in named}
    return {"system message and worked example": run.system_message, **found}


def _grading(run: RunData) -> dict[str, Any]:
    """What decides how an answer is graded, as far as the folder tells."""
    measured = {name for name, _ in run.measure.weights}
    options = run.settings.get("reward_options") or {}
    files = {str(name) for name, _ in run.settings.get("rewards", ()) if str(name).endswith(tuple(measured))}
    versions = run.environment.get("versions") or {}
    return {
        "rewards": sorted(files) if measured else [],
        "GRPO_REWARD_OPTIONS": {name: options.get(name) for name in sorted(measured)},
        "version of grpo-job": versions.get("grpo-job"),
    }


def _told(measure: Measure) -> str:
    """Its name, with the weights that two of one name may differ in: `reward brief, brief:2`."""
    return ", ".join([measure.name, *(f"{name}:{weight:g}" for name, weight in measure.weights)])


def _unlike_rows(both: str, ours: dict[Row, Record], theirs: dict[Row, Record]) -> Iterator[str]:
    shared = len(ours.keys() & theirs.keys())
    golds = {row[0]: row[1] for row in ours}
    other = sum(golds.get(row[0], row[1]) != row[1] and row not in ours for row in theirs)
    if shared < max(len(ours), len(theirs)):
        use = "the test is on these alone" if shared else "no test is made"
        yield f"{both} share {shared} of {len(ours)} and {len(theirs)} held-out rows: {use}"
    if other:
        yield f"{both}: {other} questions have other right answers"
