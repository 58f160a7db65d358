"""`report.html` while a run trains: rewritten after each checkpoint by a process of its own, so that no step waits."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from grpo_job.checkpoints import Mirror
from grpo_job.outcomes import in_one_line
from grpo_job.settings.own_process import finding_this_package

# SIGTERM ends it as Ctrl-C would: killed at once, matplotlib may leave the lock of its list of fonts.
CONSIDERATE = "import os, signal; os.nice(10); signal.signal(signal.SIGTERM, signal.default_int_handler); "
COMMAND = (sys.executable, "-c", f"{CONSIDERATE}from grpo_job.cli import main; main()", "report", "--live")
TOO_LONG = 300.0  # seconds for one report
LAST_SECONDS = 45.0  # for the last one to reach the mirror
SECONDS_TO_TIDY = 1.0  # for a process that is no longer wanted


class LiveReport:
    """One process at a time; of the checkpoints saved meanwhile, the newest is reported next."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        mirror: Mirror | None,
        warn: Callable[[str], object],
    ) -> None:
        """Each new report goes to `mirror`; `warn` is called with the first failure, in a thread."""
        self._report, self._environment, self._mirror, self._warn = folder / "report.html", environment, mirror, warn
        self._changed = threading.Condition()
        self._wanted = self._over = self._warned = False
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    def refresh(self) -> None:
        """Have the report written soon; returns at once."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            if self._thread is None and not self._over:
                self._thread = threading.Thread(target=self._work, name="live report", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """From now on nothing is written: somebody else writes the report, or the process ends."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            if self._process:
                _end(self._process)

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Within, the last report is written; then it replaces the live one at the mirror too."""
        self.stop()
        yield
        if self._mirror:
            self._mirror.send_report(self._report, last=True)
            self._mirror.finish(LAST_SECONDS, report=True)

    def _work(self) -> None:
        while self._is_wanted():
            try:
                failure = self._failure()
            except (OSError, subprocess.SubprocessError) as error:  # no process can be started, or it hangs
                failure = str(error)
            with self._changed:
                process, self._process = self._process, None
                if self._over:
                    return
            if process and process.poll() is None:
                process.kill()
            if failure is None and self._mirror:
                self._mirror.send_report(self._report)
            elif failure is not None and not self._warned:
                self._warned = True
                self._warn(f"the live report could not be written: {in_one_line(RuntimeError(failure))}")

    def _is_wanted(self) -> bool:
        """Waits until the next report is wanted, True, or it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._over)
            self._wanted = False
            return not self._over

    def _failure(self) -> str | None:
        """Why the report could not be written; None if it was."""
        with self._changed:
            if self._over:
                return None
            # In a session of its own, for a signal to the job's group is not for it: `stop` ends it.
            self._process = process = subprocess.Popen(
                [*COMMAND, str(self._report.parent)], start_new_session=True,
                env=finding_this_package(self._environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
        _, said = process.communicate(timeout=TOO_LONG)
        return said[-300:] if process.returncode else None


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_TIDY)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
