"""How a process of the job ends: what a command raises becomes an ending, and the ending an exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

import click

from grpo_job.outcomes import Interrupted, Outcome, RunEnded, Unexpected
from grpo_job.runtime.signals import StopNow
from grpo_job.settings.secrets import redacted, secret_values


def ending_of(story: Callable[[], Outcome], environment: Mapping[str, str]) -> Outcome:
    """Tell the story, and turn whatever it raises into an ending. Only an unexpected error shows its traceback."""
    try:
        return story()
    except RunEnded as known:
        return known.outcome()
    except StopNow as signal_name:
        return Interrupted(f"{signal_name} was received before the run began").outcome()
    except Exception as error:
        _say(traceback.format_exc(), environment)
        return Unexpected(f"{type(error).__name__}: {error}").outcome()


def leave(ending: Outcome, environment: Mapping[str, str]) -> None:
    """Say the reason of a bad ending on standard error, and exit with its code."""
    if ending.code:
        _say(f"grpo-job: {ending.kind} (exit {ending.code})\n{ending.reason}", environment)
    leave_silently(ending.code)


def leave_silently(code: int) -> None:
    """Exit with `code`, all that was printed being out."""
    _flush()
    end_process(code)


def restart(reason: str, environment: Mapping[str, str]) -> NoReturn:
    """Say why, and restart this program in the same process; what libraries started beside it ends."""
    import psutil

    _say(f"grpo-job: {reason}", environment)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    _flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _say(text: str, environment: Mapping[str, str]) -> None:
    """On standard error. Errors of libraries and rewards may hold what the environment holds."""
    click.echo(redacted(text, secret_values(environment)), err=True)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


end_process: Callable[[int], None] = os._exit  # library threads (vLLM, tokenizers) must not hold the process
