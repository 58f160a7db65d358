"""One attempt at one run: its folder, its progress, and the ending that is always written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpo_job.failures import Ending, Interrupted, RunEnded, Unexpected
from grpo_job.interruption import Interruption, StopNow
from grpo_job.progress import Progress
from grpo_job.run_folder import RunFolder
from grpo_job.settings import Settings
from grpo_job.summary import Summary, closing_lines

MOST_FRUITLESS_ATTEMPTS = 3
FINISHED = Ending(0, "finished", "trained, evaluated, published and read back")


class Attempt:
    """What the steps of one attempt share."""

    def __init__(self, settings: Settings, interruption: Interruption) -> None:
        path = Path(settings.output_dir).expanduser().resolve() / settings.name_of_run()
        self.settings, self.interruption = settings, interruption
        self.folder = RunFolder(path)
        self.summary = Summary(self.folder.summary, settings.name_of_run())
        self.progress = Progress(settings.log_format, self.summary.values["seconds"])
        self.checkpoints_saved = 0
        self.ending = FINISHED

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Whatever ends the body, the ending is in `summary.json`; unknown errors travel on to the door."""
        self.folder.open()
        self.interruption.grace_seconds = self.settings.grace_seconds
        self.interruption.before_exit = lambda reason: self.conclude(self.interrupted(reason))
        self.summary.write()
        try:
            yield
            self.interruption.raise_if_asked()
        except StopNow as signal_name:
            self.conclude(self.interrupted(f"{signal_name} was received"))
        except Interrupted as stop:
            self.conclude(self.interrupted(str(stop)))
        except RunEnded as known:
            self.conclude(known.ending())
        except BaseException as error:
            self.conclude(Ending(1, "unexpected", f"{type(error).__name__}: {error}"))
            raise
        else:
            self.conclude(FINISHED)
        self.progress.closing(closing_lines(self.summary.values, self.folder.path))

    def interrupted(self, reason: str) -> Ending:
        """75, or 1 when attempt after attempt ends without a new checkpoint."""
        fruitless = 0 if self.checkpoints_saved else self.summary.values["fruitless_attempts"] + 1
        self.summary.update(fruitless_attempts=fruitless)
        if fruitless >= MOST_FRUITLESS_ATTEMPTS:
            return Unexpected(f"{reason}, for the {fruitless}th time in a row without a new checkpoint").ending()
        return Interrupted(f"{reason}: the same command resumes the run").ending()

    def conclude(self, ending: Ending) -> int:
        """Write how the attempt ended; answers the exit code."""
        self.ending = ending
        if ending.code != Interrupted.code:
            self.summary.update(fruitless_attempts=0)
        self.summary.write(ending, {**self.progress.seconds, "total": self.progress.total()})
        return ending.code
