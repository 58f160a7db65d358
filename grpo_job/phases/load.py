"""Load the model, and find the checkpoint to resume from."""

from pathlib import Path
from typing import NamedTuple

from grpo_job import engines, rewards
from grpo_job.checkpoints import Checkpoint, CheckpointManager
from grpo_job.engines.interface import Engine
from grpo_job.engines.ranks import Load
from grpo_job.phases import resume
from grpo_job.phases.attempt import Attempt
from grpo_job.planner import learning_rate
from grpo_job.preflight import Checked
from grpo_job.preflight.start import SHAPE
from grpo_job.run_folder.files import write_bytes


class Loaded(NamedTuple):
    """The model in memory, the checkpoints of its run, and the one to resume from, if any."""

    engine: Engine
    checkpoints: CheckpointManager
    resume_from: Checkpoint | None


def load(attempt: Attempt, checked: Checked) -> Loaded:
    """Raises `InvalidRun` if this run cannot resume from the checkpoint it finds."""
    with attempt.progress.phase("load", f"loading {attempt.settings.model} with engine {checked.engine}"):
        manager = resume.manager_of(attempt, checked.base.commit, checked.rows.digest, _chosen(checked))
        rate = learning_rate.peak(attempt.settings.learning_rate, checked.base.config())
        manager.identity["learning_rate"] = rate
        attempt.summary.update(learning_rate=rate)
        _keep_start(attempt, manager)
        checkpoint = resume.find_checkpoint(attempt, manager)
        engine = _build(attempt, checked, manager.partial)
        engine.on_answers = attempt.progress.count
        for note in engine.notes:
            attempt.progress.warn(note)
        checkpoint = resume.usable(attempt, manager, checkpoint, engine)
        resume.refuse_fewer_steps(attempt, checkpoint, engine.planned_steps)
    attempt.summary.forget_result()
    return Loaded(engine, manager, checkpoint)


def _chosen(checked: Checked) -> str:
    return f"{checked.engine} on a {'GPU' if checked.plan else 'CPU'}"


def _keep_start(attempt: Attempt, manager: CheckpointManager) -> None:
    """The start adapter's weights in the run folder, where all ranks find them; other weights are another run."""
    if start := attempt.start:
        manager.identity["start_adapter"] = start.sha256
        write_bytes(attempt.folder.start_adapter, start.lora.weights.read_bytes())


def _build(attempt: Attempt, checked: Checked, folder: Path) -> Engine:
    settings, ranks, rows = attempt.settings, attempt.ranks, checked.rows.train
    start = attempt.folder.start_adapter if attempt.start else None
    shape = {name: getattr(settings, name) for name in SHAPE} if start else {}
    functions = rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds)
    ranks.broadcast(Load(checked.engine, checked.plan, checked.base.commit, start, shape))
    engines.settle(checked.engine, ranks)
    ranks.share((rows, folder))
    return engines.build(checked.engine, settings, checked.base, rows, functions, folder, checked.plan, ranks, start)
