"""Evaluates the adapter during training, keeps the best one, and stops at a target accuracy.

Always the same first held-out rows, greedily. The results are in `metrics.jsonl`, which is part of each checkpoint, so
a resumed run decides like an uninterrupted one.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from grpo_job.checkpoints import Checkpoint
from grpo_job.engines.interface import Engine
from grpo_job.evaluation import grading
from grpo_job.monitoring.health import HELD_OUT
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.evaluate import graded_by, graders, mean, measure_of, told
from grpo_job.rewards import Reward, Tokens
from grpo_job.run_folder.files import read_jsonl, write_bytes
from grpo_job.run_folder.paths import WEIGHTS


class PeriodicEvaluation:
    """The examinations of one run; `accuracies` holds the measure by step, those of earlier attempts included."""

    def __init__(
        self,
        engine: Engine,
        rows: Sequence[dict[str, Any]],
        attempt: Attempt,
        chosen: Sequence[Reward],
        tokens: Tokens | None = None,
    ) -> None:
        self.engine, self.attempt, self.settings = engine, attempt, attempt.settings
        self.rows = rows[: attempt.settings.eval_steps_rows]
        self.measure, self.rewards = measure_of(self.settings, chosen, rows), graded_by(self.settings, chosen, tokens)
        self.graders = graders(chosen)
        self.accuracies: dict[int, float] = {
            row["step"]: row[HELD_OUT] for row in read_jsonl(attempt.folder.metrics) if HELD_OUT in row
        }

    def due(self, step: int, planned: int) -> bool:
        """Whether a multiple of `eval_steps` was passed since the last evaluation, or training ends."""
        every = self.settings.eval_steps
        return every is not None and (step >= planned or step // every > max(self.accuracies, default=0) // every)

    def run(self, step: int) -> dict[str, float]:
        """Evaluate the adapter after `step`, and keep it if it is the best so far."""
        generate = partial(self.engine.generate, adapter="on", max_tokens=self.settings.max_completion_length)
        records = grading.ask(generate, self.rows, self.graders, rewards=self.rewards)
        accuracy, kept = mean(records, self.measure), grading.share(records, "format") or 0.0
        said = f"{told(accuracy, self.measure)}, format {kept:.1%} on {len(records)} rows"
        self.attempt.progress.say(f"after step {step}: {said}")
        if self.settings.keep == "best" and accuracy > max(self.accuracies.values(), default=-1.0):
            self._keep()
        self.accuracies[step] = accuracy
        return {HELD_OUT: accuracy, "eval_format": kept}

    def best_step(self) -> int | None:
        """The step with the highest accuracy; of equal ones the first, which is closest to the base."""
        return max(self.accuracies, key=lambda step: (self.accuracies[step], -step), default=None)

    def goal_reached(self) -> bool:
        goal = self.settings.stop_at_accuracy
        return goal is not None and any(accuracy >= goal for accuracy in self.accuracies.values())

    def needs_training(self, checkpoint: Checkpoint | None, *, time_left: bool = True) -> bool:
        """False if an earlier attempt did all that can be done; then its adapter is loaded from the checkpoint."""
        if checkpoint is None or (time_left and not self.goal_reached()):
            return True
        self.engine.load_adapter(checkpoint.folder / WEIGHTS)
        return False

    def finish(self, planned: int) -> None:
        """After training: record why it stopped early, and load the best adapter if GRPO_KEEP=best."""
        done = self.attempt.summary.values["steps"]["done"]
        if self.goal_reached() and done < planned:
            reached = f"GRPO_STOP_AT_ACCURACY={self.settings.stop_at_accuracy:g} was reached"
            self.attempt.summary.update(stopped=f"stopped after step {done} of {planned}: {reached}")
        best = self.best_step()
        if self.settings.keep == "best" and best is not None:
            self.attempt.summary.update(kept={"step": best, "eval_accuracy": self.accuracies[best]})
            self.attempt.progress.say(
                f"the adapter of step {best} is kept: {told(self.accuracies[best], self.measure)}"
            )
            self.engine.load_adapter(self.attempt.folder.best_adapter)

    def _keep(self) -> None:
        """Save the weights next to the metrics: each later checkpoint holds both, so pruning does not lose them."""
        with tempfile.TemporaryDirectory(dir=self.attempt.folder.path, prefix=".best-") as folder:
            self.engine.save_adapter(Path(folder))
            write_bytes(self.attempt.folder.best_adapter, (Path(folder) / WEIGHTS).read_bytes())
