"""Records how an attempt ends, for people and clusters, whatever ends it."""

import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager

from grpo_job import reports
from grpo_job.checkpoints import PARTIAL
from grpo_job.monitoring.metrics_server import MetricsServer
from grpo_job.monitoring.wrapping import is_one_terminal
from grpo_job.outcomes import (
    FINISHED,
    NOT_PUBLISHED,
    Abandoned,
    Interrupted,
    InvalidRun,
    Outcome,
    PublishFailed,
    RunEnded,
    RunLocked,
    StopNow,
    Unexpected,
)
from grpo_job.phases.attempt import Attempt
from grpo_job.rewards import clock
from grpo_job.run_folder.summary import closing_lines
from grpo_job.runtime.resource_errors import disk_trouble, in_the_way
from grpo_job.settings.redaction.redactor import REDACTOR

MOST_FRUITLESS_ATTEMPTS = 3
LOST_SECONDS = 2.0  # until an error on this rank can be told from the loss of another


@contextmanager
def record_outcome(attempt: Attempt) -> Iterator[None]:
    """Whatever ends the body, the ending is in `summary.json`; unknown errors propagate."""
    settings, interruption = attempt.settings, attempt.interruption
    interruption.grace_seconds = settings.grace_seconds
    interruption.give_up_reason = lambda: _why_in_vain(attempt)
    interruption.before_exit = lambda reason: attempt.conclude(_interrupted(attempt, reason))
    attempt.watchdog.start()
    clock.give_up = lambda reason: interruption.end(reason, attempt.conclude(Abandoned(reason).outcome()))
    try:
        yield
        attempt.run_lock.assert_held()
        interruption.raise_if_asked()
        interruption.close()
    except StopNow as signal_name:
        _stop_in_order(attempt, f"{signal_name} was received")
    except Interrupted as stop:
        _stop_in_order(attempt, str(stop))
    except (RunLocked, Abandoned, PublishFailed) as known:
        interruption.close()
        attempt.conclude(known.outcome())
    except BaseException as error:
        with interruption.noted():  # torchrun's SIGTERM after a lost rank must not hide it
            explained = _explains(attempt, error)
        if not explained:
            attempt.watchdog.stop()
            raise
    else:
        attempt.conclude(_finished(attempt))
    attempt.watchdog.stop()
    lines = closing_lines(attempt.summary.values, attempt.folder.path)
    said_by_the_door = attempt.outcome.code and is_one_terminal()  # on standard error, as for a run that never began
    attempt.progress.closing(lines[:-1] if said_by_the_door else lines)
    if attempt.outcome.code == Abandoned.code:
        _report_abandoned(attempt)


@contextmanager
def told_to_machines(attempt: Attempt) -> Iterator[None]:
    """The run in `summary.json` and on GRPO_METRICS_PORT. Within `record_outcome`, for this may fail too."""
    settings = attempt.settings
    attempt.remember_the_result()
    attempt.summary.write()
    attempt.metrics_server = MetricsServer(settings.metrics_port, settings.name_of_run(), settings.metrics_address)
    with closing(attempt.metrics_server):
        yield


def _report_abandoned(attempt: Attempt) -> None:
    """Write the report of an unpublished run, with its outcome; a failure here is only a warning."""
    try:
        with attempt.live_report.replaced():
            reports.build([attempt.folder.path])
    except Exception as error:
        attempt.progress.warn(f"the report could not be written: {type(error).__name__}: {error}")


def _finished(attempt: Attempt) -> Outcome:
    """How a complete run ends; if its training stopped early, with the reason."""
    reason = FINISHED.reason if attempt.settings.publish_to else NOT_PUBLISHED
    stopped = attempt.summary.values.get("stopped")
    return FINISHED._replace(reason=f"{reason}; {stopped}" if stopped else reason)


def _interrupted(attempt: Attempt, reason: str) -> Outcome:
    """75; or 1 after a hang, a lost rank, or several attempts in a row without a new checkpoint."""
    if lost := attempt.ranks.lost():  # so the launcher ended this process
        return attempt.answer_to_lost(lost)
    if quiet := attempt.watchdog.stale_for():
        return Unexpected(f"{reason}, after {quiet:.0f} s without any progress").outcome()
    fruitless = 0 if attempt.checkpoints_saved else attempt.summary.values["fruitless_attempts"] + 1
    attempt.summary.update(fruitless_attempts=fruitless)
    if fruitless >= MOST_FRUITLESS_ATTEMPTS:
        return Unexpected(f"{reason}, {fruitless} times in a row without a new checkpoint").outcome()
    return Interrupted(f"{reason}: the same command resumes the run").outcome()


def _explains(attempt: Attempt, error: BaseException) -> bool:
    """Record the ending that `error` means; False if it is unknown, so that its traceback is shown."""
    if gone := attempt.run_lock.gone():
        attempt.interruption.close()
        attempt.conclude(Unexpected(gone).outcome())
    elif not isinstance(error, RunEnded) and (wrong := in_the_way(error, attempt.folder.path)):
        attempt.interruption.close()
        attempt.conclude(InvalidRun(wrong).outcome())
    elif not isinstance(error, RunEnded) and (trouble := disk_trouble(error, attempt.folder.path)):
        attempt.interruption.close()
        shutil.rmtree(attempt.folder.checkpoints / PARTIAL, ignore_errors=True)  # room for the ending
        attempt.conclude(Unexpected(trouble).outcome())
    elif not isinstance(error, RunEnded) and (lost := attempt.ranks.lost(LOST_SECONDS)):
        attempt.interruption.close()
        _show(attempt, error)
        attempt.conclude(attempt.answer_to_lost(lost))
    elif asked := attempt.interruption.asked:  # code interrupted by the signal may raise an error of its own
        _show(attempt, error)
        _stop_in_order(attempt, f"{asked} was received ({type(error).__name__}: {error})")
    else:
        attempt.interruption.close()
        known: RunEnded = error if isinstance(error, RunEnded) else Unexpected(f"{type(error).__name__}: {error}")
        attempt.conclude(known.outcome(), refused=isinstance(known, InvalidRun))
        return known is error
    return True


def _show(attempt: Attempt, error: BaseException) -> None:
    print(REDACTOR.text("".join(traceback.format_exception(error))), file=sys.stderr)


def _stop_in_order(attempt: Attempt, reason: str) -> None:
    """Use the rest of the grace period for the mirror, then end."""
    attempt.flush_mirror(attempt.interruption.grace_left())
    attempt.conclude(_interrupted(attempt, reason))


def _why_in_vain(attempt: Attempt) -> str:
    """The grace period lets the step finish, which is impossible without a lost rank."""
    lost = attempt.ranks.lost()
    return lost.reason if lost else ""
