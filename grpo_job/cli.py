"""The command line: reads the environment, calls the job and sets the exit code.

`grpo-job` without a command is `grpo-job run`, except for a person at a terminal, who gets help. Heavy libraries are
imported after the settings are parsed.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grpo_job.outcomes import Outcome
from grpo_job.phases import published_commands
from grpo_job.runtime import launched, process_exit
from grpo_job.runtime.command_line import RunByDefault, json_option, offline_option, set_option
from grpo_job.runtime.signals import Interruption
from grpo_job.runtime.world import is_rank

if TYPE_CHECKING:
    from grpo_job.settings.reader import Resolved
    from grpo_job.settings.schema import Settings


@click.group(cls=RunByDefault, environment=os.environ)
@click.pass_context
def main(context: click.Context) -> None:
    """Fine-tune a language model with GRPO, unattended. Settings are GRPO_* variables.

    Without a command: run, or show this help at a terminal."""
    from grpo_job.settings.redaction.redactor import guard

    launched.restart_in_utf8(os.environ)
    launched.escape_what_cannot_be_shown()
    context.obj = context.obj or Interruption().install()
    context.obj.hide = guard(os.environ)
    os.umask(os.umask(0o077) | 0o027)  # files 0640, folders 0750: what is trained on is not everybody's to read


@main.command()
@set_option
@click.pass_obj
def run(interruption: Interruption, assignments: tuple[str, ...]) -> None:
    """Train, evaluate and publish. Resumes where an earlier attempt stopped."""
    from grpo_job.runtime import run_end
    from grpo_job.runtime.world import layout, one_gpu

    told = run_end.Told(os.environ, interruption)

    def story() -> Outcome:
        resolved = told.take(_read(assignments))
        gpus = _steer_libraries(resolved.settings)
        if is_rank(os.environ):
            return _run_as_rank(resolved, interruption)
        processes = layout(resolved.settings, os.environ, gpus)
        if processes.world > 1:
            from grpo_job.runtime import launcher

            return launcher.run(processes, resolved.settings, os.environ, interruption)
        os.environ.update(one_gpu(os.environ, gpus))
        from grpo_job import job

        return job.run(resolved, os.environ, interruption)

    told.leave(process_exit.ending_of(story))


def _run_as_rank(resolved: "Resolved", interruption: Interruption) -> Outcome:
    """Run as one process of several. If the launcher has a parent, the parent reports how the run ended."""
    from grpo_job import engines, job, worker
    from grpo_job.runtime import launcher

    tell = launcher.teller(os.environ, interruption)
    interruption.second_signal_ends = False  # the platform, torchrun and the parent may each send one
    ranks = engines.process_group(interruption.ask, launcher.ranks_key(resolved.settings, os.environ))

    def story() -> Outcome:
        if ranks.number:
            return worker.follow(resolved.settings, interruption, ranks)
        return job.run(resolved, os.environ, interruption, ranks)

    ending = process_exit.ending_of(story)
    in_order = ranks.end(ending)
    if tell(ending):
        # On a non-zero code torchrun ends the other processes.
        process_exit.leave_silently(0 if in_order else ending.code or 1)
    return ending


@main.command()
@set_option
@json_option
@offline_option
@click.option(
    "--rewards", is_flag=True, help="Print what each reward pays on eight rows, and on sampled completions if possible."
)
@click.option("--all", "every", is_flag=True, help="Print every setting with its origin, including defaults.")
def check(assignments: tuple[str, ...], for_machines: bool, offline: bool, rewards: bool, every: bool) -> None:
    """Check a run without a GPU. Prints findings, then the chosen settings with their origin."""

    def story() -> Outcome:
        from grpo_job.phases import tell_checks

        form = "json" if for_machines else "all" if every else "chosen"
        os.environ.update({"HF_HUB_OFFLINE": "1"} if offline else {})  # the clients read it on import
        return tell_checks.story(lambda: _read(assignments), _steer_libraries, os.environ, offline, rewards, form)

    _end_with(story)


@main.command()
@set_option
@click.option("--gpu", "gpus", multiple=True, help="Such as H100,L4,2xA100-80GB; default: common GPUs.")
@click.option("--price", "prices", multiple=True, help="Dollars per GPU and hour: 2.5, or H100=2.5,L4=0.8.")
@json_option
@offline_option
def plan(
    assignments: tuple[str, ...], gpus: tuple[str, ...], prices: tuple[str, ...], for_machines: bool, offline: bool
) -> None:
    """Estimate fit, time and cost on GPUs. Needs no GPU."""

    def story() -> Outcome:
        from grpo_job.phases import tell_plans

        told = tell_plans.plans(_steered(assignments, offline).settings, gpus, prices)
        click.echo(told.as_json() if for_machines else "\n".join(told.lines()))
        return Outcome(0, "planned", "")

    _end_with(story)


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="grpo.env")
@set_option
def init(file: Path, assignments: tuple[str, ...]) -> None:
    """Write a settings file for your own task. It is grpo.env, or a FILE that ends in .yaml or .toml."""

    def story() -> Outcome:
        from grpo_job.settings import starter_file

        click.echo("\n".join(starter_file.write(file, _read(assignments))))
        return Outcome(0, "written", str(file))

    _end_with(story)


@main.command()
def schema() -> None:
    """Print the JSON Schema of GRPO_CONFIG files."""
    from grpo_job.settings import json_schema

    click.echo(json_schema.text())


@main.command()
@click.argument("run_folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--to", "destinations", multiple=True, metavar="URI", help="Destination to use instead of the run's own.")
@set_option
def publish(run_folder: Path, destinations: tuple[str, ...], assignments: tuple[str, ...]) -> None:
    """Publish a trained run. Needs neither GPU nor torch."""

    def story() -> Outcome:
        from grpo_job.runtime import library_env

        launched.require_tidy(os.environ)
        library_env.set_missing(library_env.silence(), os.environ)
        from grpo_job.phases import publish

        with process_exit.refusing_odd_files(run_folder):
            ended = publish.publish_again(run_folder, destinations, os.environ, assignments)
            click.echo(ended.reason)
            return ended

    _end_with(story)


@main.command()
@click.argument("run_folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="File to write the page to."
)
@click.option("--live", is_flag=True, hidden=True)
def report(run_folders: tuple[Path, ...], output: Path | None, live: bool) -> None:
    """Rebuild a run's report, or compare runs."""

    def story() -> Outcome:
        from grpo_job import reports

        with process_exit.refusing_odd_files(*run_folders):
            written = reports.build_live(run_folders[0]) if live else reports.rebuild(run_folders, output)
        plots = "" if output or live or len(run_folders) > 1 else f" and {written.parent / 'plots'}"
        click.echo(f"written: {written}{plots}")
        return Outcome(0, "reported", str(written))

    _end_with(story)


@main.command()
@click.argument("adapter_or_run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Folder for the records and the verdict; default: NAME-evaluation next to the input.",
)  # fmt: skip
@set_option
def evaluate(adapter_or_run: Path, output: Path | None, assignments: tuple[str, ...]) -> None:
    """Evaluate an adapter, without training.

    Takes an adapter folder, run folder or published tree; settings such as GRPO_EVAL_ROWS default to the run's.
    """

    def story() -> Outcome:
        resolved = _steered(assignments)
        from grpo_job.phases import reevaluate

        judged = reevaluate.reevaluate(adapter_or_run, output, resolved, os.environ)
        click.echo("\n".join([*reevaluate.lines(judged), reevaluate.written(adapter_or_run, output)]))
        return Outcome(0, "evaluated", judged["verdict"])

    _end_with(story)


main.add_command(published_commands.verify)
main.add_command(published_commands.reproduce)


def _end_with(story: Callable[[], Outcome]) -> None:
    process_exit.leave(process_exit.ending_of(story))


def _read(assignments: tuple[str, ...]) -> "Resolved":
    """Read the settings. Raises `InvalidRun` with every fault."""
    from grpo_job.phases import read_settings

    return read_settings.read(os.environ, assignments)


def _steered(assignments: tuple[str, ...], offline: bool = False) -> "Resolved":
    """Read the settings, and set the variables of the libraries that they decide."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the clients read it on import
    resolved = _read(assignments)
    _steer_libraries(resolved.settings)
    return resolved


def _steer_libraries(settings: "Settings") -> int:
    """Set the library variables that the user left unset, before any import. Returns the number of GPUs."""
    from grpo_job.runtime import library_env

    gpus, distrust = library_env.steer(settings, os.environ)
    if distrust:
        click.echo(f"grpo-job: GRPO_CACHE_DIR: {distrust}", err=True)
    return gpus
