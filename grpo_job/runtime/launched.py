"""What the process does first, because of how it may have been launched: its environment, and its output."""

import io
import os
import sys
from collections.abc import Mapping, MutableMapping

import click

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.launchers import tidied

UTF8 = {"PYTHONUTF8": "1"}


def restart_in_utf8(environment: Mapping[str, str]) -> None:
    """Begin again with Python's UTF-8 mode where PYTHONUTF8=0 or an option of Python left it with ASCII alone.

    Python could then neither set a variable nor open a path with another character.
    """
    if sys.getfilesystemencoding() == "ascii" and not environment.items() >= UTF8.items():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environment, **UTF8})


def tidy(environment: MutableMapping[str, str]) -> list[str]:
    """Repair what launchers leave around variables, before any library reads them; returns what cannot be repaired."""
    found = tidied(environment)
    for warning in found.warnings:
        click.echo(f"grpo-job: {warning}", err=True)
    for name in environment.keys() - found.environment.keys():
        del environment[name]
    environment.update({name: value for name, value in found.environment.items() if environment[name] != value})
    return found.faults


def require_tidy(environment: MutableMapping[str, str]) -> None:
    """The same; raises `InvalidRun` with what cannot be repaired."""
    if faults := tidy(environment):
        raise InvalidRun(*faults)


def escape_what_cannot_be_shown() -> None:
    """A terminal or a log in ASCII shows other characters escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
