"""The commands about what was published: does it answer as it was evaluated, and can it be made again."""

import json
from collections.abc import Callable, MutableMapping

import click

from grpo_job.outcomes import Outcome
from grpo_job.runtime import launched, library_env, process_exit
from grpo_job.runtime.command_line import json_option, set_option


@click.command()
@click.argument("place", metavar="URI|RUN")
@click.option(
    "--model", envvar="GRPO_MODEL", metavar="MODEL", help="Base to load instead of the one that the adapter names."
)
@click.option("--rows", type=click.IntRange(min=1), help="Number of recorded prompts to repeat; default: all.")
@click.option("--write", is_flag=True, help="Add the result to the published tree: run/verify.json and the card.")
@json_option
@click.pass_context
def verify(
    context: click.Context, place: str, model: str | None, rows: int | None, write: bool, for_machines: bool
) -> None:
    """Check the answers of a published adapter.

    Loads it in another process, repeats the held-out prompts of its run and compares the answers. Takes a URI, a
    published tree or a run folder. Exit 4 if the answers differ.
    """
    environment = _environment(context)

    def story() -> Outcome:
        from grpo_job.phases import verified

        with process_exit.refusing_odd_files():
            found = verified.verify_places(place, environment, model, rows, write=write)
        for where, result in found.items():
            click.echo(json.dumps(result) if for_machines else "\n".join(verified.lines(where, result)))
        return verified.outcome(found)

    _end_with(story, environment)


@click.command()
@click.argument("place", metavar="URI|RUN")
@click.option("--anyway", is_flag=True, help="Continue with other versions, rows or another machine, and report it.")
@set_option
@click.pass_context
def reproduce(context: click.Context, place: str, anyway: bool, assignments: tuple[str, ...]) -> None:
    """Train a published run again, and compare.

    Uses its settings, commits and seeds. Give your own rewards, local rows and a local base as settings. Exit 4 if only
    the adapters differ.
    """
    environment = _environment(context)

    def story() -> Outcome:
        from grpo_job.phases import reproduce

        with process_exit.refusing_odd_files():
            ended = reproduce.reproduce(place, environment, list(assignments), anyway=anyway)
        click.echo(ended.reason)
        return ended

    _end_with(story, environment)


def _environment(context: click.Context) -> MutableMapping[str, str]:
    """That of the process, which `cli.py` alone reads."""
    found: MutableMapping[str, str] = context.find_root().command.environment  # type: ignore[attr-defined]
    return found


def _end_with(story: Callable[[], Outcome], environment: MutableMapping[str, str]) -> None:
    def quiet() -> Outcome:
        launched.require_tidy(environment)
        library_env.set_missing(library_env.silence(), environment)
        return story()

    process_exit.leave(process_exit.ending_of(quiet))
