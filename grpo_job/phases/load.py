"""Load the model, and find the checkpoint that the training resumes from."""

from pathlib import Path
from typing import NamedTuple

from grpo_job import engines, rewards
from grpo_job.checkpoints import Checkpoint, CheckpointManager
from grpo_job.engines.interface import Engine
from grpo_job.engines.ranks import Load
from grpo_job.phases import resume
from grpo_job.phases.attempt import Attempt
from grpo_job.preflight import Checked


class Loaded(NamedTuple):
    """The model in memory, the checkpoints of its run, and the one to resume from, where there is one."""

    engine: Engine
    checkpoints: CheckpointManager
    resume_from: Checkpoint | None


def load(attempt: Attempt, checked: Checked) -> Loaded:
    """Raises `InvalidRun` where the checkpoint there cannot be resumed by this run."""
    with attempt.progress.phase("load", f"loading {attempt.settings.model} with the engine {checked.engine}"):
        manager = resume.manager_of(attempt, checked.base.commit, checked.rows.revision)
        checkpoint = resume.find_checkpoint(attempt, manager)
        engine = _build(attempt, checked, manager.partial)
        resume.refuse_fewer_steps(attempt, checkpoint, engine.planned_steps)
    attempt.summary.forget_result()
    return Loaded(engine, manager, checkpoint)


def _build(attempt: Attempt, checked: Checked, folder: Path) -> Engine:
    """The engine, on all ranks together."""
    settings, ranks, rows = attempt.settings, attempt.ranks, checked.rows.train
    functions = rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds)
    ranks.broadcast(Load(checked.engine, checked.plan, checked.base.commit))
    ranks.share((rows, folder))
    return engines.build(checked.engine, settings, checked.base, rows, functions, folder, checked.plan, ranks)
