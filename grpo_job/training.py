"""Around the training: where it resumes, what is written at each step, when it saves and stops."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from grpo_job import machine, same_run
from grpo_job.attempt import Attempt
from grpo_job.budget import Budget
from grpo_job.checkpoints import Checkpoint, Keeper
from grpo_job.failures import Refused
from grpo_job.health import Health
from grpo_job.midway import Midway
from grpo_job.progress import libraries_write_to
from grpo_job.run_folder import append_jsonl, read_jsonl
from grpo_job.trackers import TrackerRun, Trackers, identity


def keeper_of(attempt: Attempt, model_commit: str | None, rows_revision: str | None) -> Keeper:
    """The checkpoints of this run, which agree on all that alters the training."""
    keeper = Keeper(
        attempt.folder.checkpoints,
        {**same_run.identity(attempt.settings), "model_commit": model_commit, "dataset_commit": rows_revision},
        keep=attempt.settings.save_total_limit,
        extras=(attempt.folder.metrics, attempt.folder.completions, attempt.folder.best_adapter),
        facts={"settings_hash": attempt.settings.result_hash(), "versions": machine.versions()},
    )
    if attempt.mirror:
        keeper.in_use = attempt.mirror.in_use
    return keeper


def resume_point(attempt: Attempt, keeper: Keeper) -> Checkpoint | None:
    """The checkpoint to go on from, with metrics and completions as they were then.

    Raises `Refused` with the differing settings when the checkpoint is of another run, and where a run that has a
    result has none to go on from.
    """
    keeper.clear_partial()
    if attempt.settings.resume == "never":
        _forget(attempt, keeper)
        return None
    checkpoint, damages = keeper.newest_good()
    if attempt.mirror:
        damages += attempt.mirror.bring_newer(keeper, than=checkpoint.step if checkpoint else 0)
        checkpoint, _ = keeper.newest_good()
    for damage in damages:
        attempt.progress.warn(damage)
    if checkpoint and (differences := keeper.differences(checkpoint)):
        raise Refused(
            f"GRPO_RUN_ID={attempt.settings.name_of_run()}: its checkpoint at step {checkpoint.step} was made with "
            f"other settings ({'; '.join(differences)}); allowed: the same settings, another GRPO_RUN_ID, or "
            "GRPO_RESUME=never"
        )
    if checkpoint is None:
        _say_that_there_is_none(attempt)
    _go_back(attempt, keeper, checkpoint)
    return checkpoint


def refuse_fewer_steps(attempt: Attempt, resume: Checkpoint | None, planned: int) -> None:
    """Raises `Refused` where the checkpoint is of a later step than the training now asked for has."""
    if resume and (refusal := same_run.too_few_steps(attempt.settings, planned, resume.step)):
        raise Refused(refusal)


@contextmanager
def trackers_of(attempt: Attempt) -> Iterator[Trackers]:
    """Within: trackers to be started. They are closed however the body ends, for they hold back what came last."""
    trackers = Trackers(attempt.progress.warn)
    try:
        yield trackers
    finally:
        if attempt.interruption.asked:  # checkpoints first: a tracker may wait long for its server
            attempt.flush_mirror(attempt.interruption.grace_left())
        with libraries_write_to(attempt.folder.library_log):
            trackers.close()


def start_trackers(trackers: Trackers, attempt: Attempt, keeper: Keeper, resume: Checkpoint | None) -> None:
    """Open those of GRPO_REPORT_TO at the same tracker run in every attempt: each checkpoint remembers which."""
    settings, folder = attempt.settings, attempt.folder.trackers
    if not settings.report_to:
        return
    keeper.facts["tracker_run"] = found = identity(folder, resume.manifest.get("tracker_run") if resume else None)
    run = TrackerRun(
        settings.name_of_run(), found, folder, settings.model_dump(mode="json"), resume.step if resume else 0
    )
    trackers.start(settings.report_to, run, read_jsonl(attempt.folder.metrics))


def _say_that_there_is_none(attempt: Attempt) -> None:
    """A run whose checkpoints are lost begins anew, but not unnoticed, and never over a result."""
    summary = attempt.summary.values
    places = f"no good checkpoint is in {attempt.folder.checkpoints}"
    if attempt.mirror:
        places += f" or at {attempt.mirror.store.uri}"
    if summary["adapter"]:
        raise Refused(
            f"GRPO_RUN_ID={attempt.settings.name_of_run()}: that run has a result after {summary['steps']['done']} "
            f"steps, and {places} to go on from; allowed: another GRPO_RUN_ID, or GRPO_RESUME=never to begin anew"
        )
    if summary["attempts"] > 1:
        attempt.progress.warn(f"attempt {summary['attempts']} begins with step 1: {places}")


def _forget(attempt: Attempt, keeper: Keeper) -> None:
    """Begin anew."""
    keeper.forget()
    shutil.rmtree(attempt.folder.trackers, ignore_errors=True)
    if attempt.mirror:
        attempt.mirror.forget()
    for written in keeper.extras:
        written.unlink(missing_ok=True)


def _go_back(attempt: Attempt, keeper: Keeper, checkpoint: Checkpoint | None) -> None:
    """Take metrics and completions from the checkpoint: the steps behind it will be done again."""
    step = checkpoint.step if checkpoint else 0
    lost = max((row["step"] for row in read_jsonl(attempt.folder.metrics)), default=0) - step
    keeper.restore_extras(checkpoint)
    attempt.summary.update(steps={"done": step})
    if lost > 0:
        earlier = attempt.summary.values["steps"]["lost_to_resume"]
        attempt.summary.update(steps={"lost_to_resume": earlier + lost})
        attempt.progress.say(f"resuming after step {step}; {lost} steps are done again")
    elif step:
        attempt.progress.say(f"resuming after step {step}")


class Watcher:
    """Listens to an engine: writes metrics and completions, keeps checkpoints, decides to save and stop."""

    def __init__(
        self,
        attempt: Attempt,
        keeper: Keeper,
        planned: int,
        resumed_from: int = 0,
        *,
        midway: Midway | None = None,
        trackers: Trackers | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.attempt, self.keeper, self.planned = attempt, keeper, planned
        self.midway, self.trackers = midway, trackers
        self.last_step_at = time.monotonic()
        self.last_saved = resumed_from
        self.step_seconds: list[float] = []
        self.save_seconds: list[float] = []
        settings = attempt.settings
        self.health = Health(settings, read_jsonl(attempt.folder.metrics))
        self.budget = budget or Budget(settings, attempt.progress.total)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within: only steps and their parts count as progress."""
        with self.attempt.watchdog.steps(self.step_seconds):
            yield

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.attempt.holding.confirm()
        now = time.monotonic()
        if not self.step_seconds:
            self.attempt.progress.seconds["first_step"] = time.time() - psutil.Process().create_time()
        self.step_seconds.append(now - self.last_step_at)
        self.last_step_at = now
        append_jsonl(self.attempt.folder.metrics, [{"step": step, **metrics}])
        if self.trackers:
            self.trackers.log(step, metrics)
        self.attempt.summary.update(steps={"done": step, "planned": self.planned})
        self._look_at(step, metrics)
        left = median(self.step_seconds[-50:]) * (self.planned - step)
        self.attempt.progress.step(step, self.planned, metrics, left)
        self.attempt.tell_troubles()
        self.on_progress()

    def _look_at(self, step: int, metrics: dict[str, float]) -> None:
        """What the numbers say of the run: told to people, to Prometheus, and heeded in `should_stop`."""
        self.budget.step_took(self.step_seconds[-1])
        for finding in self.health.heed({"step": step, **metrics}):
            self.attempt.found(finding)
        seconds = self.attempt.spent()["total"]
        cost = self.attempt.summary.values["cost"] or {}
        signs = self.attempt.life_signs
        signs.step(step, self.planned, metrics)
        signs.set(accuracy=metrics.get("eval_accuracy"), cost_usd=cost.get("total"), seconds=seconds)

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        append_jsonl(self.attempt.folder.completions, [{"step": step, **row} for row in rows])

    def on_save(self, step: int, written: Path) -> None:
        self.attempt.holding.confirm()
        checkpoint = self.keeper.adopt(step, written)
        self._tell_cost(checkpoint, time.monotonic() - self.last_step_at)
        self.last_saved = step
        self.attempt.checkpoints_saved += 1
        self.budget.took("save", time.monotonic() - self.last_step_at)  # an engine saves right behind a step
        self.attempt.note()
        if self.attempt.mirror:
            self.attempt.mirror.send(checkpoint)
            uploads = self.attempt.mirror.seconds
            self.budget.took("publish", max(uploads, default=0.0) * len(self.attempt.settings.publish_to))

    def _tell_cost(self, checkpoint: Checkpoint, seconds: float) -> None:
        """What a checkpoint costs, the trainer's own writing included: it follows the logging of its step."""
        self.save_seconds.append(seconds)
        size = sum(entry["bytes"] for entry in checkpoint.manifest["files"].values())
        cost = {"seconds": round(median(self.save_seconds), 3), "bytes": size}
        self.attempt.summary.update(checkpoint=cost)

    def on_progress(self) -> None:
        self.attempt.watchdog.beat()

    def measure(self, step: int) -> dict[str, float]:
        if not self.midway or not self.midway.due(step, self.planned):
            return {}
        with self.attempt.watchdog.between_steps():
            return self.midway.take(step)

    def should_save(self, step: int) -> bool:
        """Whether a multiple of `save_steps` was passed since the last checkpoint, or much time.

        Engines ask only where nothing generated waits to be learned from, which need not be at a multiple.
        """
        settings = self.attempt.settings
        passed = step // settings.save_steps > self.last_saved // settings.save_steps
        return passed or time.monotonic() - self.keeper.last_saved >= 60 * settings.save_minutes

    def should_stop(self, step: int) -> bool:
        return bool(
            self.attempt.interruption.asked
            or self.health.verdict
            or not self.has_time_for_more(step)
            or (self.midway and self.midway.goal_reached())
        )

    def asked_to_stop(self) -> str | None:
        return self.attempt.interruption.asked

    def stop_too(self, reason: str) -> None:
        self.attempt.interruption.ask(reason)

    def has_time_for_more(self, step: int) -> bool:
        """Whether the budget has room for a step behind this one; the summary says where it has not."""
        reason = self.budget.reason_to_stop(step, self.planned)
        if reason:
            self.attempt.summary.update(stopped=reason)
        return reason is None
