"""Records each training step, and decides when to save and stop."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from grpo_job.checkpoints import Checkpoint, CheckpointManager
from grpo_job.monitoring.budget import Budget
from grpo_job.monitoring.health import HELD_OUT, HELD_OUT_MEAN, WARM_START, Health
from grpo_job.monitoring.health.answers import AnswersOfLastSteps
from grpo_job.monitoring.trackers import Trackers
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.periodic_eval import PeriodicEvaluation
from grpo_job.run_folder.files import Log, read_jsonl


class TrainingListener:
    """Listens to an engine: writes metrics and completions, commits checkpoints, decides to save and stop."""

    def __init__(
        self,
        attempt: Attempt,
        manager: CheckpointManager,
        planned: int,
        resumed_from: int = 0,
        *,
        periodic_eval: PeriodicEvaluation | None = None,
        trackers: Trackers | None = None,
        budget: Budget | None = None,
        answers: AnswersOfLastSteps | None = None,
        after_warm_start: Callable[[], None] = lambda: None,
        after_save: Callable[[], None] = lambda: None,
    ) -> None:
        """`answers`: the window over the answers, with those of earlier attempts."""
        self.attempt, self.manager, self.planned = attempt, manager, planned
        self.periodic_eval, self.trackers, self.answers = periodic_eval, trackers, answers
        self.after_warm_start, self.after_save = after_warm_start, after_save
        self.last_step_at = time.monotonic()
        self.last_step = self.last_saved = resumed_from
        self.step_seconds: list[float] = []
        self.save_seconds: list[float] = []
        settings = attempt.settings
        self.metrics, self.completions = Log(attempt.folder.metrics), Log(attempt.folder.completions)
        seen = read_jsonl(attempt.folder.metrics)
        self.health = Health(settings, [row for row in seen if WARM_START not in row])
        self.budget = budget or Budget(settings, attempt.progress.total)

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.attempt.run_lock.assert_held()
        now = time.monotonic()
        if not self.step_seconds:
            started = psutil.Process().create_time()  # by the system's clock, which may have been set back since
            self.attempt.progress.seconds["first_step"] = max(0.0, time.time() - started)
        steps = max(1, step - self.last_step)  # since the last that was logged (GRPO_LOGGING_STEPS)
        self.step_seconds.append((now - self.last_step_at) / steps)
        self.last_step, self.last_step_at = step, now
        metrics = {**metrics, **(self.answers.metrics() if self.answers else {})}
        self.metrics.append([{"step": step, **metrics}])
        if self.trackers:
            self.trackers.log(step, metrics)
        self.attempt.summary.update(steps={"done": step, "planned": self.planned})
        self._look_at(step, metrics)
        left = median(self.step_seconds[-50:]) * (self.planned - step)
        cost = (self.attempt.summary.values["cost"] or {}).get("total")
        self.attempt.progress.step(step, self.planned, metrics, left, cost)
        self.attempt.report_background_errors()
        self.on_progress()

    def _look_at(self, step: int, metrics: dict[str, float]) -> None:
        """Update budget, health and Prometheus metrics; `should_stop` uses them."""
        self.budget.step_took(self.step_seconds[-1])
        for finding in self.health.update({"step": step, **metrics}) if WARM_START not in metrics else ():
            self.attempt.record_finding(finding)
        seconds = self.attempt.elapsed()["total"]
        cost = self.attempt.summary.values["cost"] or {}
        signs = self.attempt.metrics_server
        signs.step(step, self.planned, metrics)
        apart = metrics.get(HELD_OUT, metrics.get(HELD_OUT_MEAN))
        signs.set(accuracy_set_apart=apart, cost_usd=cost.get("total"), seconds=seconds)

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        self.attempt.run_lock.assert_held()
        self.completions.append({"step": step, **row} for row in rows)
        if self.answers:
            self.answers.add(step, rows)

    def on_save(self, step: int, written: Path) -> None:
        self.attempt.run_lock.assert_held()
        for log in (self.metrics, self.completions):
            log.assert_whole()
        checkpoint = self.manager.commit(step, written)
        self._tell_cost(checkpoint, time.monotonic() - self.last_step_at)
        self.last_saved = step
        self.attempt.checkpoints_saved += 1
        self.budget.took("save", time.monotonic() - self.last_step_at)  # an engine saves right after a step
        self.attempt.note()
        self.after_save()
        if self.attempt.mirror:
            self.attempt.mirror.send(checkpoint)
            uploads = self.attempt.mirror.seconds
            self.budget.took("publish", max(uploads, default=0.0) * len(self.attempt.settings.publish_to))

    def _tell_cost(self, checkpoint: Checkpoint, seconds: float) -> None:
        """Record what a checkpoint costs, including the trainer's own writing, which follows the step's logging."""
        self.save_seconds.append(seconds)
        size = sum(entry["bytes"] for entry in checkpoint.manifest["files"].values())
        cost = {"seconds": round(median(self.save_seconds), 3), "bytes": size}
        self.attempt.summary.update(checkpoint=cost)

    def on_progress(self) -> None:
        self.attempt.watchdog.beat()

    def measure(self, step: int) -> dict[str, float]:
        if step == self.attempt.settings.warm_start_steps:
            with self.attempt.watchdog.between_steps():
                self.after_warm_start()
        if not self.periodic_eval or not self.periodic_eval.due(step, self.planned):
            return {}
        with self.attempt.watchdog.between_steps():
            return self.periodic_eval.run(step)

    def should_save(self, step: int) -> bool:
        """Whether a multiple of `save_steps` or `save_minutes` was passed since the last checkpoint.

        Engines ask only when no generated batch is pending, which need not be at a multiple.
        """
        settings = self.attempt.settings
        passed = step // settings.save_steps > self.last_saved // settings.save_steps
        return passed or time.monotonic() - self.manager.last_saved >= 60 * settings.save_minutes

    def should_stop(self, step: int) -> bool:
        return bool(
            self.attempt.interruption.asked
            or self.health.verdict
            or not self.has_time_for_more(step)
            or (self.periodic_eval and self.periodic_eval.goal_reached())
        )

    def asked_to_stop(self) -> str | None:
        return self.attempt.interruption.asked

    def stop_too(self, reason: str) -> None:
        self.attempt.interruption.ask(reason)

    def has_time_for_more(self, step: int) -> bool:
        """Whether the budget allows a step after this one; if not, the summary says why."""
        reason = self.budget.reason_to_stop(step, self.planned)
        if reason:
            self.attempt.summary.update(stopped=reason)
        return reason is None
