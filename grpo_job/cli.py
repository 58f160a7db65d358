"""The door: reads the environment, calls the job, owns the exit code.

`grpo-job` without a command is `grpo-job run`. Everything heavy is imported behind the settings.
"""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import click

from grpo_job.failures import Ending, RunEnded
from grpo_job.interruption import Interruption, StopNow

Options = Callable[[Callable[..., None]], Callable[..., None]]
set_option: Options = click.option(
    "--set", "-s", "assignments", multiple=True, metavar="NAME=VALUE",
    help="A setting, such as max_steps=3; wins over GRPO_MAX_STEPS.",
)  # fmt: skip


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Fine-tune a language model with GRPO, unattended. Settings are GRPO_* variables."""
    if context.obj is None:
        context.obj = Interruption().install()
    if context.invoked_subcommand is None:
        context.invoke(run)


@main.command()
@set_option
@click.pass_obj
def run(interruption: Interruption, assignments: tuple[str, ...] = ()) -> None:
    """Train, evaluate and publish; go on where an earlier attempt stopped."""

    def story() -> Ending:
        from grpo_job.settings_reader import resolve

        resolved = resolve(os.environ, _assigned(assignments))
        from grpo_job import job

        return job.run(resolved, os.environ, interruption)

    _leave(story)


@main.command()
@set_option
def check(assignments: tuple[str, ...]) -> None:
    """Print each setting and where it came from, and check all that can fail. Needs no GPU."""

    def story() -> Ending:
        from grpo_job.settings_reader import resolve

        resolved = resolve(os.environ, _assigned(assignments))
        for name, origin in resolved.origins.items():
            click.echo(f"{name} {origin}")
        from grpo_job import preflight

        preflight.check(resolved.settings, os.environ)
        return Ending(0, "checked", "all checks passed")

    _leave(story)


def _assigned(assignments: tuple[str, ...]) -> dict[str, str]:
    """`("max_steps=3",)` -> `{"max_steps": "3"}`; the variable's own spelling is accepted too."""
    pairs = [assignment.partition("=") for assignment in assignments]
    return {name.strip().lower().removeprefix("grpo_"): value for name, _, value in pairs}


def _leave(story: Callable[[], Ending]) -> NoReturn:
    """Run, say the reason of a bad ending on standard error, and exit with its code."""
    try:
        ending = story()
    except RunEnded as known:
        ending = known.ending()
    except StopNow as signal_name:
        ending = Ending(75, "interrupted", f"{signal_name} was received before the run began")
    except Exception as error:
        traceback.print_exc()
        ending = Ending(1, "unexpected", f"{type(error).__name__}: {error}")
    if ending.code:
        print(f"grpo-job: {ending.kind} (exit {ending.code})\n{ending.reason}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ending.code)  # library threads (vLLM, tokenizers) must not hold the process
