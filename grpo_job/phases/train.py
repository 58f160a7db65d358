"""Train, with trackers and periodic evaluations, until steps, budget or health end it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from grpo_job.checkpoints import Checkpoint, CheckpointManager
from grpo_job.engines.ranks import Train
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.health import Finding, alike
from grpo_job.monitoring.health.answers import AnswersOfLastSteps, by_step
from grpo_job.monitoring.library_log import libraries_write_to
from grpo_job.monitoring.trackers import CLOSE_SECONDS, TrackerRun, Trackers, identity
from grpo_job.outcomes import Abandoned
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.evaluate import evaluate_warm, graders_of, keep
from grpo_job.phases.load import Loaded
from grpo_job.phases.periodic_eval import PeriodicEvaluation
from grpo_job.phases.probe import budget_of
from grpo_job.phases.training_listener import TrainingListener
from grpo_job.preflight import Checked
from grpo_job.preflight.evaluation import measure_of
from grpo_job.rewards import RewardFailed
from grpo_job.run_folder.files import read_jsonl


@contextmanager
def trackers_of(attempt: Attempt) -> Iterator[Trackers]:
    """Trackers to be started; always closed, because they buffer the last metrics."""
    trackers = Trackers(attempt.progress.warn)
    try:
        yield trackers
    finally:
        seconds = CLOSE_SECONDS
        if attempt.interruption.asked:  # checkpoints first
            attempt.flush_mirror(attempt.interruption.grace_left())
            seconds = min(seconds, max(0.0, attempt.interruption.grace_left()))
        with libraries_write_to(attempt.folder.library_log):
            trackers.close(seconds)


def train(attempt: Attempt, loaded: Loaded, checked: Checked, trackers: Trackers) -> None:
    """Train from the checkpoint that was found; then the adapter in memory is the one to keep.

    Raises `Abandoned` if health checks end the run; its adapter is saved.
    """
    engine, manager, checkpoint = loaded
    budget = budget_of(attempt)
    _start_trackers(trackers, attempt, manager, checkpoint)
    phase = attempt.progress.phase("train", f"training {engine.planned_steps} steps")
    with phase, attempt.interruption.at_step_boundary():
        tokens = Chat(checked.base.folder, attempt.settings).completion_ids
        periodic_eval = PeriodicEvaluation(engine, checked.choosing, attempt, checked.rewards, tokens)
        listener = TrainingListener(
            attempt,
            manager,
            engine.planned_steps,
            checkpoint.step if checkpoint else 0,
            periodic_eval=periodic_eval,
            trackers=trackers,
            budget=budget,
            answers=_answers_so_far(attempt, checked),
            after_warm_start=partial(evaluate_warm, attempt, engine, checked),
            after_save=attempt.live_report.refresh,
        )
        _train_on_all_ranks(loaded, listener, periodic_eval)
    if verdict := listener.health.verdict:
        keep(engine, attempt)
        attempt.flush_mirror()
        raise Abandoned(verdict.sentence + _last_before(verdict, attempt, manager))
    periodic_eval.finish(engine.planned_steps)


def _answers_so_far(attempt: Attempt, checked: Checked) -> AnswersOfLastSteps | None:
    """The window over the answers with those of earlier attempts; None where what is measured reads no answers."""
    rows = checked.rows.train
    measure = measure_of(attempt.settings, checked.rewards, rows)
    if not measure.reads_answers:
        return None
    window = AnswersOfLastSteps(rows, graders_of(measure, rows, checked.rewards).read)
    for step, completions in by_step(read_jsonl(attempt.folder.completions)):
        window.add(step, completions)
    return window


def _last_before(verdict: Finding, attempt: Attempt, manager: CheckpointManager) -> str:
    """Of a run that ends because its answers became alike: the last checkpoint from before they did."""
    if verdict.kind != alike.KIND:
        return ""
    before = manager.newest_before(alike.last_step_before(read_jsonl(attempt.folder.metrics)))
    if before is None:
        return "; no checkpoint from before it is left, for GRPO_SAVE_TOTAL_LIMIT keeps only the newest"
    return f"; the last checkpoint before it is {before}"


def _train_on_all_ranks(loaded: Loaded, listener: TrainingListener, periodic_eval: PeriodicEvaluation) -> None:
    """Train, unless an earlier attempt did all that can be done: then its adapter is loaded."""
    checkpoint = loaded.resume_from
    time_left = checkpoint is None or listener.has_time_for_more(checkpoint.step)
    if periodic_eval.needs_training(checkpoint, time_left=time_left):
        folder = checkpoint.folder if checkpoint else None
        listener.attempt.ranks.broadcast(Train(folder))
        with listener.attempt.watchdog.steps(listener.step_seconds):
            try:
                loaded.engine.train(listener, folder)
            except RewardFailed as failure:
                listener.attempt.flush_mirror()
                name = listener.attempt.settings.name_of_run()  # which an edited file would change
                kept = f"the run is kept at step {listener.last_saved} and resumes with GRPO_RUN_ID={name}"
                raise Abandoned(f"GRPO_REWARDS: {failure}; {kept} once it is fixed") from failure


def _start_trackers(
    trackers: Trackers, attempt: Attempt, manager: CheckpointManager, resume: Checkpoint | None
) -> None:
    """Open GRPO_REPORT_TO at the same tracker run in every attempt: each checkpoint stores its id."""
    settings, folder = attempt.settings, attempt.folder.trackers
    if not settings.report_to:
        return
    manager.facts["tracker_run"] = found = identity(folder, resume.manifest.get("tracker_run") if resume else None)
    run = TrackerRun(
        settings.name_of_run(), found, folder, settings.model_dump(mode="json"), resume.step if resume else 0
    )
    trackers.start(settings.report_to, run, read_jsonl(attempt.folder.metrics))
