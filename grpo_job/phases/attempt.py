"""One attempt at one run: its folder, its lock, its progress and its summary."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from grpo_job.checkpoints import Mirror, RunLock, mirror
from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.inputs.dataset import Rows
from grpo_job.inputs.start_adapter import StartAdapter
from grpo_job.monitoring import budget, metrics_server
from grpo_job.monitoring.health import Finding
from grpo_job.monitoring.library_log import libraries_write_to
from grpo_job.monitoring.metrics_server import MetricsServer
from grpo_job.monitoring.progress import Progress
from grpo_job.monitoring.watchdog import Watchdog
from grpo_job.outcomes import FINISHED, Interrupted, InvalidRun, Outcome, PublishFailed, RunLocked, Unexpected
from grpo_job.phases.live_report import LiveReport
from grpo_job.run_folder import identity
from grpo_job.run_folder.files import sha256, write_bytes, write_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.run_folder.summary import Summary, facts
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.settings.redaction.secrets import secret_values
from grpo_job.settings.schema import Settings
from grpo_job.stores import Silence, StoreFailed

MIRROR_PATIENCE = 25.0  # seconds in which what fails is tried again, once the work is done
MIRROR_SECONDS = 300.0  # longest wait for the mirror outside a grace period


class Attempt:
    """State that the phases of one attempt share."""

    def __init__(
        self,
        settings: Settings,
        interruption: Interruption,
        environment: Mapping[str, str] | None = None,
        ranks: Ranks = ALONE,
        rows: Rows | None = None,
        began: float | None = None,
        start: StartAdapter | None = None,
    ) -> None:
        self.settings, self.interruption, self.ranks, self.rows = settings, interruption, ranks, rows
        self.start = start
        self.folder = RunFolder(settings.folder_of_run)
        self.summary = Summary(self.folder.summary, settings.name_of_run())
        self.environment = environment or {}
        REDACTOR.know(secret_values(self.environment))
        self.metrics_server = MetricsServer(None, settings.name_of_run())
        self.watchdog = Watchdog(self.folder.heartbeat, self._hung, log=interruption.stderr)
        self.progress = Progress(settings.log_format, on_phase=self.watchdog.beat, run_id=settings.name_of_run())
        self.progress.started = began or self.progress.started
        self.checkpoints_saved = 0
        self.answer_to_lost: Callable[[Outcome], Outcome] = lambda lost: lost  # to the loss of another rank
        self.outcome = FINISHED
        interruption.facts = lambda: facts(self.summary.values, self.folder, settings.model)
        self._silence = Silence()
        remote, takeover_request = mirror.stores_of(settings, self.environment, self._silence)
        self.run_lock = RunLock(
            self.folder.path, remote, settings.lease_seconds, self._lost, takeover_request=takeover_request
        )
        self.mirror = (
            Mirror(remote, settings.save_total_limit, self.run_lock.assert_held_everywhere, self._lost)
            if remote
            else None
        )
        self.live_report = LiveReport(self.folder.path, self.environment, self.mirror, self.progress.warn)
        self._finished_elsewhere = False
        self._record: dict[Path, bytes] = {}

    def is_finished(self) -> bool:
        """Whether an earlier attempt finished, here or, if it published the result, elsewhere."""
        found = self.summary.earlier
        published = {place["uri"] for place in found.get("published", ())}
        here = self.summary.ended_with == FINISHED.code and published.issuperset(self.settings.publish_to)
        # Somebody may have taken the adapter away; but one that is there and damaged is made again.
        whole = here and not (self.folder.adapter.is_dir() and self.folder.lacks(found))
        return self._finished_elsewhere or (
            whole and self._is_enough(found) and identity.is_merged(found, self.settings)
        )

    def is_trained(self) -> bool:
        """Whether only publishing is left to do. A result that was damaged is made again from its checkpoint."""
        found = self.summary.earlier
        ended = self.summary.ended_with in (FINISHED.code, PublishFailed.code)
        if not (ended and self._is_enough(found) and identity.is_merged(found, self.settings)):
            return False
        if lacks := self.folder.lacks(found):
            self.progress.warn(f"{lacks}: it is made again from the last checkpoint")
        return lacks == ""

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the run; yields whether anything is left to do. Raises `RunLocked` if another attempt holds it."""
        if self.is_finished():
            yield self._say_finished()
            return
        with self._held():  # another attempt may finish the run while this one waits
            if self.is_finished():
                yield self._say_finished()
            else:
                yield True

    def write_settings(self, origins: Mapping[str, str]) -> None:
        write_json(self.folder.settings, {"settings": self.settings.model_dump(mode="json"), "from": origins})

    def remember(self, *paths: Path) -> None:
        """Keep digests of files in the summary, so that a later attempt finds what was damaged."""
        self.summary.update(records={str(path.relative_to(self.folder.path)): sha256(path) for path in paths})

    def forget_result(self) -> None:
        """A new adapter: of what was remembered, only the answers still hold."""
        answers = {str(path.relative_to(self.folder.path)) for path in (self.folder.before, self.folder.after)}
        known = self.summary.values.get("records", {})
        self.summary.values["records"] = {name: digest for name, digest in known.items() if name in answers}

    def wrote(self, path: Path) -> bool:
        """Whether the file is as an attempt `remember`ed it."""
        known: str | None = self.summary.values.get("records", {}).get(str(path.relative_to(self.folder.path)))
        return known == sha256(path)

    def library_log(self) -> AbstractContextManager[None]:
        """Redirect what libraries print to the run folder."""
        return libraries_write_to(self.folder.library_log)

    def _say_finished(self) -> bool:
        if not self._finished_elsewhere:
            self.outcome = Outcome(**self.summary.earlier["ending"])
        self.progress.say(f"run {self.settings.name_of_run()} is already finished: {self.folder.path}")
        return False

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.folder.open()
        left = self.run_lock.acquire()
        self.outcome = Outcome(1, "unexpected", "the attempt did not end")
        try:
            # Another attempt may have written while this one waited.
            self.summary = Summary(self.folder.summary, self.settings.name_of_run())
            if self.summary.damage:
                self.progress.warn(f"{self.summary.damage}: it is made again from the lease and the checkpoint")
            for known in (self.run_lock.here.found, left):
                self.summary.restore(known)
            self.progress.count_from(self.summary.values["seconds"])
            self._finished_elsewhere = (
                left.get("ended_with") == FINISHED.code and bool(self.settings.publish_to) and self._is_enough(left)
            )
            yield
        finally:
            if self.outcome.code != RunLocked.code and (trouble := self.run_lock.release()):
                self.progress.warn(f"the run stays locked for {self.settings.lease_seconds:g} s: {trouble}")

    def assert_sole_owner(self) -> None:
        """Before publishing: raises `RunLocked` if another attempt has taken the run over."""
        if not self.settings.publish_to:
            return self.run_lock.assert_held()
        try:
            self.run_lock.assert_held_everywhere()
        except StoreFailed as failure:
            raise PublishFailed(f"cannot tell whether another attempt has taken the run over: {failure}") from failure

    def report_background_errors(self) -> None:
        """Log errors of background threads as warnings."""
        for trouble in (self.run_lock.trouble(), *(self.mirror.troubles() if self.mirror else ())):
            if trouble:
                self.progress.warn(trouble)

    def flush_mirror(self, seconds: float = MIRROR_SECONDS) -> None:
        """Wait until the checkpoints have reached the mirror or failed to.

        From here on the work is done: all that is still asked of the mirror is tried again for one patience in all.
        """
        self._silence.until = min(self._silence.until, time.monotonic() + MIRROR_PATIENCE)
        if self.mirror and not self.mirror.finish(seconds):
            self.progress.warn(f"the newest checkpoint did not reach {self.mirror.store.uri} in {seconds:.0f} s")
        self.report_background_errors()

    def remember_the_result(self) -> None:
        """Keep the record of an already trained run, in case continuing it is refused."""
        if self.summary.values["adapter"]:
            files = (self.folder.summary, self.folder.settings, self.folder.environment)
            self._record = {path: path.read_bytes() for path in files if path.is_file()}

    def conclude(self, ending: Outcome, *, refused: bool = False) -> Outcome:
        """Write how the attempt ended; returns the ending as written.

        Of an already trained run that was `refused`, or could not go on because of an outage, the record stays.
        """
        self.live_report.stop()
        self.outcome = ending = ending._replace(reason=REDACTOR.text(ending.reason))
        if ending.code == RunLocked.code:
            return ending  # another attempt owns the folder now
        if ending.code != Interrupted.code:
            self.summary.update(fruitless_attempts=0)
        metrics_server.leave_message(ending, self.settings.termination_log)
        try:
            if (refused or ending.code == InvalidRun.code) and self._record:
                for path, content in self._record.items():
                    write_bytes(path, content)
                self.summary.values["ending"] = ending._asdict()  # of this attempt, for its closing lines
            elif not self.run_lock.gone():  # else it would be created again, with nothing but the ending
                self.note(ending)
        except OSError as error:  # the code must reach the cluster even if the disk is full
            print(f"grpo-job: {self.folder.summary} could not be written: {error}", file=sys.stderr, flush=True)
        return ending

    def record_finding(self, finding: Finding) -> None:
        """Log a health finding, export it as a metric, and keep the last of each kind and severity in the summary."""
        self.progress.warn(finding.sentence)
        self.metrics_server.set(healthy=0)
        one = {"step": finding.step, "level": finding.severity, "kind": finding.kind, "message": finding.sentence}
        same = (one["kind"], one["level"])
        others = [old for old in self.summary.values.get("health", ()) if (old["kind"], old["level"]) != same]
        self.summary.update(health=[*others, one])

    def elapsed(self) -> dict[str, float]:
        """Seconds by phase over all attempts so far; their cost goes into the summary."""
        seconds = {**self.progress.so_far(), "total": self.progress.total()}
        self.summary.update(cost=budget.cost(seconds, self.settings.price_per_hour))
        return seconds

    def note(self, ending: Outcome | None = None) -> None:
        """Write the state of the run, here and for attempts on other machines."""
        asked = identity.asked_for(self.settings, stopped=bool(self.summary.values.get("stopped")))
        self.summary.update(asked_for=asked, **({"training_rows": self.rows.digest} if self.rows else {}))
        self.summary.update(**({"start_adapter": self.start.sha256} if self.start else {}))
        try:
            self.summary.write(ending, self.elapsed())
        finally:
            self.run_lock.leave(self.summary.handover_state())

    def _is_enough(self, found: Mapping[str, Any]) -> bool:
        """Whether the result that `found` describes is the one asked for now."""
        rows, start = self.rows, self.start
        return identity.is_asked_for(found, self.settings, rows and rows.digest, start and start.sha256)

    def _lost(self, reason: str) -> None:
        """From any thread: another attempt holds the run, so this one ends and writes nothing more to its folder."""
        self.interruption.end(reason, RunLocked(reason).outcome())

    def _hung(self, reason: str) -> None:
        """From the watchdog thread: end a run that makes no progress."""
        self.interruption.end(reason, self.conclude(Unexpected(reason).outcome()))
