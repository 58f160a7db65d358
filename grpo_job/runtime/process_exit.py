"""Ends a process of the job: turns what a command raises into an outcome, and the outcome into an exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from grpo_job.monitoring.wrapping import columns_of, wrapped
from grpo_job.outcomes import Interrupted, InvalidRun, Outcome, RunEnded, StopNow, Unexpected, in_one_line
from grpo_job.run_folder import scratch

STDERR = 2


def ending_of(story: Callable[[], Outcome]) -> Outcome:
    """Run the story; whatever it raises becomes an outcome. Only an unexpected error shows its traceback."""
    try:
        return story()
    except RunEnded as known:
        return known.outcome()
    except StopNow as signal_name:
        return stopped_early(signal_name)
    except Exception as error:
        click.echo(traceback.format_exc(), err=True)
        return Unexpected(f"{type(error).__name__}: {error}").outcome()


def stopped_early(signal_name: StopNow) -> Outcome:
    return Interrupted(f"{signal_name} was received before the run began").outcome()


@contextmanager
def refusing_odd_files(*folders: Path) -> Iterator[None]:
    """For folders that may come from anybody: what their files make our reading raise is a refusal."""
    try:
        yield
    except (RunEnded, OSError):
        raise
    except Exception as error:
        named = ", ".join(map(str, folders))
        why = f"its files hold what no run writes ({type(error).__name__}: {in_one_line(error)})"
        raise InvalidRun(f"{named}: {why}; allowed: the folder as the job wrote it") from error


def leave(ending: Outcome) -> None:
    """Exit with the code of the outcome, after printing the reason of a failure to standard error."""
    if ending.code:
        reason = wrapped(ending.reason, columns_of(STDERR))
        click.echo(f"grpo-job: {ending.kind} (exit {ending.code})\n{reason}", err=True)
    leave_silently(ending.code)


def leave_silently(code: int) -> None:
    """Exit with `code` after flushing the output and removing what is temporary."""
    _flush()
    scratch.remove()
    end_process(code)


def restart(reason: str, environment: Mapping[str, str]) -> NoReturn:
    """Print why, kill all child processes, and restart this program in the same process."""
    import psutil

    click.echo(f"grpo-job: {reason}", err=True)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    _flush()
    scratch.remove()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


end_process: Callable[[int], None] = os._exit  # threads of libraries (vLLM, tokenizers) must not keep the process alive
