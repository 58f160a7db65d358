"""What the command line does before a command: the default command, help for a person, the version, `--set`."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from grpo_job.outcomes import StopNow
from grpo_job.runtime import machine, process_exit
from grpo_job.runtime.world import is_rank

OWN_OPTIONS = ("-h", "--help", "--version")
Options = Callable[[Callable[..., None]], Callable[..., None]]
set_option: Options = click.option(
    "--set", "-s", "assignments", multiple=True, metavar="NAME=VALUE",
    help="A setting, such as max-steps=3; overrides GRPO_MAX_STEPS.",
)  # fmt: skip
json_option: Options = click.option(
    "--json", "for_machines", is_flag=True, help="Print one JSON object to standard output."
)
offline_option: Options = click.option(
    "--offline", is_flag=True, help="Make no network requests, and report what was skipped."
)


class RunByDefault(click.Group):
    """`grpo-job --set max-steps=3` is `grpo-job run --set max-steps=3`; a person who says nothing gets help."""

    def __init__(self, *arguments: Any, environment: Mapping[str, str], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.environment = environment
        self.context_settings = {"help_option_names": ["-h", "--help"]}
        self.params.append(
            click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
                         help="Print the version.")
        )  # fmt: skip

    def main(self, *arguments: Any, **named: Any) -> Any:
        """A signal that comes while a command is still being imported ends it as one that comes later."""
        try:
            return super().main(*arguments, **named)
        except StopNow as signal_name:
            process_exit.leave(process_exit.stopped_early(signal_name))

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if not arguments and self._person_at_a_terminal():
            arguments = ["--help"]
        elif not arguments or (arguments[0].startswith("-") and arguments[0] not in OWN_OPTIONS):
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)

    def _person_at_a_terminal(self) -> bool:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        return terminal and not machine.is_command_of_container(self.environment) and not is_rank(self.environment)


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"grpo-job {machine.versions().get('grpo-job', 'of a folder that is not installed')}")
        context.exit()
