"""`grpo-job check`: findings first, then the chosen settings, then what is paid for rows; or one JSON object."""

from collections.abc import Callable, Mapping
from functools import partial

import click

from grpo_job import preflight
from grpo_job.monitoring.wrapping import columns_of, wrapped
from grpo_job.outcomes import InvalidRun, Outcome
from grpo_job.phases import earlier_run, show_rows
from grpo_job.preflight import findings
from grpo_job.preflight.findings import Finding, Findings
from grpo_job.preflight.start import adopt
from grpo_job.settings import table
from grpo_job.settings.reader import Resolved
from grpo_job.settings.schema import Settings

COLOURS = {"failed": "red", "warned": "magenta", "passed": "green"}  # readable on black and on white


def story(
    read: Callable[[], Resolved],
    steer: Callable[[Settings], object],
    environment: Mapping[str, str],
    offline: bool,
    rewards: bool,
    form: str,
) -> Outcome:
    """Check and print; `form`: json, or text with all or the chosen settings. Raises `InvalidRun` with all faults."""
    try:
        resolved = read()
    except InvalidRun as refusal:
        if form == "json":
            click.echo(findings.as_json(findings.of_settings(refusal.faults)))
        raise
    steered = Findings()
    steered.attempt("cache", lambda: steer(resolved.settings))
    adopted = steered.attempt("start adapter", partial(adopt, resolved, environment, offline=offline))
    resolved, start = adopted or (resolved, None)
    examined = preflight.examine(resolved.settings, environment, offline=offline, elsewhere=True, start=start)
    found = examined.findings
    found += [finding for finding in steered if finding.sentence not in found.faults()]
    found.gather("run folder", lambda: earlier_run.findings(resolved.settings, examined.rows))
    show = partial(show_rows.show, examined, resolved.settings, rewards=rewards)
    shown = found.attempt("first row", show) or show_rows.NOTHING
    if form == "json":
        click.echo(findings.as_json(examined.findings, table.as_dict(resolved), shown.as_dict()))
    else:
        chosen = [*table.lines(resolved, every=form == "all")]
        parts = (painted(examined.findings, columns_of(1)), chosen, shown.lines())
        told = "\n\n".join("\n".join(part) for part in parts if part)
        click.echo(told, color=False if environment.get("NO_COLOR") else None)
    if examined.findings.faults():
        raise examined.findings.refusal()
    return Outcome(0, "checked", "all checks passed")


def painted(found: list[Finding], columns: int | None) -> list[str]:
    """The lines of the table, each beginning with its status in colour; `click.echo` drops it off a terminal.

    `columns`: of the terminal, if there is one.
    """
    return [_painted(wrapped(line, columns, findings.indent(found))) for line in findings.lines(found)]


def _painted(line: str) -> str:
    status = line.partition(" ")[0]
    colour = COLOURS.get(status)
    return click.style(status, fg=colour) + line.removeprefix(status) if colour else line
