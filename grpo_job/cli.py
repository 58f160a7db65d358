"""The command line: reads the environment, calls the job and sets the exit code.

`grpo-job` without a command is `grpo-job run`. Heavy libraries are imported after the settings are parsed.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grpo_job.outcomes import RESTART, InvalidRun, Outcome
from grpo_job.runtime import process_exit
from grpo_job.runtime.signals import Interruption

if TYPE_CHECKING:
    from grpo_job.settings.reader import Resolved
    from grpo_job.settings.schema import Settings

Options = Callable[[Callable[..., None]], Callable[..., None]]
set_option: Options = click.option(
    "--set", "-s", "assignments", multiple=True, metavar="NAME=VALUE",
    help="A setting, such as max_steps=3; overrides GRPO_MAX_STEPS.",
)  # fmt: skip


class _RunByDefault(click.Group):
    """`grpo-job --set max_steps=3` is `grpo-job run --set max_steps=3`."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if not arguments or (arguments[0].startswith("-") and arguments[0] not in context.help_option_names):
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)


@click.group(cls=_RunByDefault)
@click.pass_context
def main(context: click.Context) -> None:
    """Fine-tune a language model with GRPO, unattended. Settings are GRPO_* variables.

    Without a command: run.
    """
    if context.obj is None:
        context.obj = Interruption().install()


@main.command()
@set_option
@click.pass_obj
def run(interruption: Interruption, assignments: tuple[str, ...]) -> None:
    """Train, evaluate and publish; resume where an earlier attempt stopped."""
    from grpo_job.runtime.world import is_rank, layout, one_gpu

    given = dict(os.environ)  # before libraries set their own

    def story() -> Outcome:
        resolved = _read(assignments)
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

    ending = process_exit.ending_of(story, os.environ)
    if ending.kind == RESTART and not is_rank(given):
        process_exit.restart(ending.reason, given)
    process_exit.leave(ending, os.environ)


def _run_as_rank(resolved: "Resolved", interruption: Interruption) -> Outcome:
    """Run as one process of several. If the launcher has a parent, the parent reports how the run ended."""
    from grpo_job import engines, job, worker
    from grpo_job.runtime import launcher

    interruption.on_end = tell = launcher.teller(os.environ)
    interruption.second_signal_ends = False  # the platform, torchrun and the parent may each send one
    ranks = engines.process_group(interruption.ask)

    def story() -> Outcome:
        if ranks.number:
            return worker.follow(resolved.settings, interruption, ranks)
        return job.run(resolved, os.environ, interruption, ranks)

    ending = process_exit.ending_of(story, os.environ)
    in_order = ranks.end(ending)
    if tell(ending):
        # On a non-zero code torchrun ends the other processes.
        process_exit.leave_silently(0 if in_order else ending.code or 1)
    return ending


@main.command()
@set_option
@click.option("--json", "for_machines", is_flag=True, help="Print one JSON object to standard output.")
@click.option("--offline", is_flag=True, help="Make no network requests, and report what was skipped.")
@click.option(
    "--rewards", is_flag=True, help="Print what each reward pays on eight rows, and on sampled completions if possible."
)
def check(assignments: tuple[str, ...], for_machines: bool, offline: bool, rewards: bool) -> None:
    """Print each setting with its origin, and check everything that can be checked without a GPU."""

    def story() -> Outcome:
        from grpo_job.phases import show_rows
        from grpo_job.preflight import examine
        from grpo_job.preflight.findings import as_json, as_text, of_settings
        from grpo_job.settings import table

        try:
            resolved = _read(assignments)
        except InvalidRun as refusal:
            if for_machines:
                click.echo(as_json(of_settings(refusal.faults)))
            raise
        if not for_machines:
            click.echo("\n".join(table.lines(resolved)))
        if offline:
            os.environ["HF_HUB_OFFLINE"] = "1"  # the clients read it on import
        _steer_libraries(resolved.settings)
        examined = examine(resolved.settings, os.environ, offline=offline, elsewhere=True)
        found, shown = examined.findings, show_rows.show(examined, resolved.settings, rewards=rewards)
        if for_machines:
            click.echo(as_json(found, table.as_dict(resolved), shown.as_dict()))
        else:
            click.echo("\n".join([*shown.lines(), as_text(found)]))
        if faults := found.faults():
            raise InvalidRun(*faults)
        return Outcome(0, "checked", "all checks passed")

    _end_with(story)


@main.command()
@click.argument("run_folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--to", "destinations", multiple=True, metavar="URI", help="Destination to use instead of the run's own.")
def publish(run_folder: Path, destinations: tuple[str, ...]) -> None:
    """Publish a trained run. Needs neither GPU nor torch."""

    def story() -> Outcome:
        from grpo_job.runtime import library_env

        library_env.set_missing(library_env.silence(), os.environ)
        from grpo_job.phases import publish

        return publish.publish_again(run_folder, destinations, os.environ)

    _end_with(story)


@main.command()
@click.argument("run_folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(run_folders: tuple[Path, ...]) -> None:
    """Rebuild a run's report from its folder; for several runs, build a comparison."""

    def story() -> Outcome:
        from grpo_job import reports

        click.echo(str(reports.rebuild(run_folders)))
        return Outcome(0, "reported", "the report is written")

    _end_with(story)


@main.command()
@click.argument("adapter_or_run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Folder for the records and the verdict; default: NAME-evaluation next to the input.",
)  # fmt: skip
@set_option
def evaluate(adapter_or_run: Path, output: Path | None, assignments: tuple[str, ...]) -> None:
    """Evaluate the base and an adapter on held-out rows, without training.

    Takes an adapter folder, a run folder or a published tree. GRPO_EVAL_DATASET, GRPO_EVAL_ROWS and the other
    settings default to those of the run.
    """

    def story() -> Outcome:
        resolved = _read(assignments)
        _steer_libraries(resolved.settings)
        from grpo_job.phases import reevaluate

        judged = reevaluate.reevaluate(adapter_or_run, output, resolved, os.environ)
        click.echo("\n".join(reevaluate.lines(judged)))
        return Outcome(0, "evaluated", judged["verdict"])

    _end_with(story)


def _end_with(story: Callable[[], Outcome]) -> None:
    process_exit.leave(process_exit.ending_of(story, os.environ), os.environ)


def _read(assignments: tuple[str, ...]) -> "Resolved":
    """Read the settings. Raises `InvalidRun` with every fault, including unknown rewards."""
    from grpo_job.settings.reader import assigned, resolve

    return resolve(os.environ, assigned(assignments), [_unknown_rewards])


def _unknown_rewards(settings: "Settings") -> list[str]:
    from grpo_job import rewards
    from grpo_job.rewards.judging import JUDGEMENTS

    JUDGEMENTS.key = os.environ.get("OPENAI_API_KEY", "")
    return rewards.unknown(name for name, _ in settings.rewards)


def _steer_libraries(settings: "Settings") -> int:
    """Set the library variables that the user left unset, before any import. Returns the number of GPUs."""
    from grpo_job.runtime import library_env

    gpus, distrust = library_env.steer(settings, os.environ)
    if distrust:
        click.echo(f"grpo-job: GRPO_CACHE_DIR: {distrust}", err=True)
    return gpus
