"""Evaluates the adapter during training, keeps the best one, and stops at a target accuracy.

Always the same rows, greedily: training rows that were set apart, so that what is chosen by them is reported on others.
The value of each row at each step is in `evaluation/choosing.jsonl`, the means are in `metrics.jsonl`; both are part of
each checkpoint, so a resumed run decides like an uninterrupted one.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from grpo_job.checkpoints import PARTIAL, Checkpoint
from grpo_job.engines.interface import Engine
from grpo_job.evaluation import grading, statistics
from grpo_job.evaluation.notes import counted
from grpo_job.monitoring.health import HELD_OUT, HELD_OUT_MEAN, HELD_OUT_ROWS
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.evaluate import graded_by, graders_of, told
from grpo_job.preflight.evaluation import measure_of
from grpo_job.rewards import Reward, Tokens
from grpo_job.run_folder.files import read_jsonl, write_bytes, write_jsonl
from grpo_job.run_folder.paths import WEIGHTS


class PeriodicEvaluation:
    """The evaluations of one run; `values` holds the measure of each row by step, earlier attempts' included."""

    def __init__(
        self,
        engine: Engine,
        rows: Sequence[dict[str, Any]],
        attempt: Attempt,
        chosen: Sequence[Reward],
        tokens: Tokens | None = None,
    ) -> None:
        self.engine, self.attempt, self.settings, self.rows = engine, attempt, attempt.settings, rows
        self.measure, self.rewards = measure_of(self.settings, chosen, rows), graded_by(self.settings, chosen, tokens)
        self.graders = graders_of(self.measure, rows, chosen)
        self.values = _by_step(read_jsonl(attempt.folder.choosing))

    @property
    def accuracies(self) -> dict[int, float]:
        """The mean of the measure by step."""
        return {step: sum(values) / len(values) for step, values in self.values.items()}

    def due(self, step: int, planned: int) -> bool:
        """Whether a multiple of `eval_steps` was passed since the last evaluation, or training ends."""
        every = self.settings.eval_steps
        return every is not None and (step >= planned or step // every > max(self.values, default=0) // every)

    def run(self, step: int) -> dict[str, float]:
        """Evaluate the adapter after `step`, and keep it if it is the best so far."""
        generate = partial(self.engine.generate, adapter="on", max_tokens=self.settings.max_completion_length)
        records = grading.ask(generate, self.rows, self.graders, rewards=self.rewards)
        values, kept = [self.measure.of(record) or 0.0 for record in records], grading.share(records, "format") or 0.0
        accuracy = sum(values) / len(values)
        said = f"{told(accuracy, self.measure)}; format: {kept:.1%} on {counted(len(records), 'row')} set apart"
        self.attempt.progress.say(f"after step {step}: {said}")
        if self.settings.keep == "best" and accuracy > max(self.accuracies.values(), default=float("-inf")):
            self._keep()
        self.values[step] = values
        write_jsonl(self.attempt.folder.choosing, _by_row(self.rows, self.values))
        name = HELD_OUT if self.measure.reads_answers else HELD_OUT_MEAN
        return {name: accuracy, "eval_format": kept, HELD_OUT_ROWS: len(records)}

    def best_step(self) -> int | None:
        """The step with the highest accuracy; of equal ones the first, which is closest to the base."""
        found = self.accuracies
        return max(found, key=lambda step: (found[step], -step), default=None)

    def goal_reached(self) -> bool:
        """Whether the lower end of an evaluation's interval has reached GRPO_STOP_AT_ACCURACY."""
        goal = self.settings.stop_at_accuracy
        return goal is not None and any(statistics.lower_end(values) >= goal for values in self.values.values())

    def needs_training(self, checkpoint: Checkpoint | None, *, time_left: bool = True) -> bool:
        """False if an earlier attempt did all that can be done; then its adapter is loaded from the checkpoint."""
        if checkpoint is None or (time_left and not self.goal_reached()):
            return True
        self.engine.load_adapter(checkpoint.folder / WEIGHTS)
        return False

    def finish(self, planned: int) -> None:
        """After training: record why it stopped early, and choose between the last adapter and the best one."""
        done = self.attempt.summary.values["steps"]["done"]
        if self.goal_reached() and done < planned:
            reached = f"GRPO_STOP_AT_ACCURACY={self.settings.stop_at_accuracy:g} was reached"
            self.attempt.summary.update(stopped=f"stopped after step {done} of {planned}: {reached}")
        if self.settings.keep == "best" and self.values:
            if done not in self.values:  # a budget ended training between two evaluations
                self.run(done)
            best = self.best_step()
            assert best is not None
            self._choose(best, last=done)

    def _choose(self, best: int, last: int) -> None:
        """Another adapter than the last only where it leads by more than chance would let the luckiest one."""
        pairs = zip(self.values[best], self.values[last], strict=True)
        lead, error = statistics.mean_and_error([ahead - behind for ahead, behind in pairs])
        kept = best if lead > error else last
        self.attempt.summary.update(kept={"step": kept, "eval_accuracy": self.accuracies[kept]})
        of_best = "" if best == last else f"; step {best} leads the last by {lead:.3g}, standard error {error:.2g}"
        said = f"the adapter of step {kept} is kept: {told(self.accuracies[kept], self.measure)}{of_best}"
        self.attempt.progress.say(said)
        if kept != last:
            self.engine.load_adapter(self.attempt.folder.best_adapter)

    def _keep(self) -> None:
        """Save the weights next to the metrics: each later checkpoint holds both, so pruning does not lose them."""
        with tempfile.TemporaryDirectory(dir=self.attempt.folder.checkpoints / PARTIAL) as folder:
            self.engine.save_adapter(Path(folder))
            write_bytes(self.attempt.folder.best_adapter, (Path(folder) / WEIGHTS).read_bytes())


def _by_row(rows: Sequence[dict[str, Any]], values: dict[int, list[float]]) -> list[dict[str, Any]]:
    """A line a row: its question and answer, and its value after each step."""
    return [
        {
            "question": row["question"],
            "gold": row["answer"],
            "values": {str(step): found[place] for step, found in values.items()},
        }
        for place, row in enumerate(rows)
    ]


def _by_step(lines: Sequence[dict[str, Any]]) -> dict[int, list[float]]:
    steps = lines[0]["values"] if lines else {}
    return {int(step): [line["values"][step] for line in lines] for step in steps}
