"""Around the training: where it resumes, what is written at each step, when it saves and stops."""

import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from grpo_job.attempt import Attempt
from grpo_job.checkpoints import Checkpoint, Keeper
from grpo_job.failures import Refused
from grpo_job.run_folder import append_jsonl, read_jsonl, write_jsonl

# Settings that may differ between the attempts of one run although they change the result.
EXTENDABLE = ("max_steps", "num_train_epochs", "eval_rows", "eval_dataset", "eval_split")


def keeper_of(attempt: Attempt, commit: str | None) -> Keeper:
    """The checkpoints of this run, which agree on all that alters the training."""
    identity = {k: v for k, v in attempt.settings.changing_result().items() if k not in EXTENDABLE}
    return Keeper(
        attempt.folder.checkpoints,
        {**identity, "model_commit": commit},
        keep=attempt.settings.save_total_limit,
        extras=(attempt.folder.metrics, attempt.folder.completions),
    )


def resume_point(attempt: Attempt, keeper: Keeper) -> Checkpoint | None:
    """The checkpoint to go on from, with metrics and completions cut back to it.

    Raises `Refused` with the differing settings when the checkpoint is of another run.
    """
    keeper.clear_partial()
    if attempt.settings.resume == "never":
        keeper.forget()
        for written in (attempt.folder.metrics, attempt.folder.completions):
            written.unlink(missing_ok=True)
        return None
    checkpoint, damages = keeper.newest_good()
    for damage in damages:
        attempt.progress.warn(damage)
    if checkpoint and (differences := keeper.differences(checkpoint)):
        raise Refused(
            f"GRPO_RUN_ID={attempt.settings.name_of_run()}: its checkpoint at step {checkpoint.step} was made with "
            f"other settings ({'; '.join(differences)}); allowed: the same settings, another GRPO_RUN_ID, or "
            "GRPO_RESUME=never"
        )
    _cut_back(attempt, checkpoint)
    return checkpoint


def _cut_back(attempt: Attempt, checkpoint: Checkpoint | None) -> None:
    """Forget the steps that were done after the checkpoint: they will be done again."""
    step = checkpoint.step if checkpoint else 0
    done = read_jsonl(attempt.folder.metrics)
    lost = max((row["step"] for row in done), default=0) - step
    for path in (attempt.folder.metrics, attempt.folder.completions):
        write_jsonl(path, [row for row in read_jsonl(path) if row["step"] <= step])
    if lost > 0:
        earlier = attempt.summary.values["steps"]["lost_to_resume"]
        attempt.summary.update(steps={"lost_to_resume": earlier + lost})
        attempt.progress.say(f"resuming after step {step}; {lost} steps are done again")
    elif step:
        attempt.progress.say(f"resuming after step {step}")


class Watcher:
    """Listens to an engine: writes metrics and completions, keeps checkpoints, decides to save and stop."""

    def __init__(self, attempt: Attempt, keeper: Keeper, planned: int) -> None:
        self.attempt, self.keeper, self.planned = attempt, keeper, planned
        self.began = self.last_step_at = time.monotonic()
        self.step_seconds: list[float] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        now = time.monotonic()
        if not self.step_seconds:
            self.attempt.progress.seconds["first_step"] = time.time() - psutil.Process().create_time()
        self.step_seconds.append(now - self.last_step_at)
        self.last_step_at = now
        append_jsonl(self.attempt.folder.metrics, [{"step": step, **metrics}])
        self.attempt.summary.update(steps={"done": step, "planned": self.planned})
        left = median(self.step_seconds[-50:]) * (self.planned - step)
        self.attempt.progress.step(step, self.planned, metrics, left)
        self.on_progress()

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        append_jsonl(self.attempt.folder.completions, [{"step": step, **row} for row in rows])

    def on_save(self, step: int, written: Path) -> None:
        self.keeper.adopt(step, written)
        self.attempt.checkpoints_saved += 1

    def on_progress(self) -> None:
        """Touch the heartbeat, which liveness probes look at."""
        self.attempt.folder.heartbeat.touch()

    def should_save(self, step: int) -> bool:
        settings = self.attempt.settings
        return (
            step % settings.save_steps == 0 or time.monotonic() - self.keeper.last_saved >= 60 * settings.save_minutes
        )

    def should_stop(self, step: int) -> bool:
        return self.attempt.interruption.asked is not None
