"""Finds the checkpoint to resume from, and restores the run folder to its step."""

import shutil

from grpo_job.checkpoints import Checkpoint, CheckpointManager
from grpo_job.engines.interface import Engine
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import judging
from grpo_job.phases.attempt import Attempt
from grpo_job.run_folder import identity, shapes
from grpo_job.run_folder.files import Damaged, read_jsonl
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.runtime import machine
from grpo_job.settings import key_file


def manager_of(
    attempt: Attempt, model_commit: str | None, rows_digest: str | None, engine: str | None = None
) -> CheckpointManager:
    """The checkpoints of this run, which agree on everything that changes training.

    `engine`: the one that GRPO_ENGINE=auto chose, and where it runs; other arithmetic and another optimizer state.
    """
    chosen = {"model_commit": model_commit, "training_rows": rows_digest, "engine_chosen": engine}
    manager = CheckpointManager(
        attempt.folder.checkpoints,
        {**identity.identity(attempt.settings), **chosen},
        keep=attempt.settings.save_total_limit,
        extras=(
            attempt.folder.metrics,
            attempt.folder.completions,
            attempt.folder.best_adapter,
            attempt.folder.choosing,
            attempt.folder.judged,
            attempt.folder.warm,
        ),
        key=key_file.read(path) if (path := attempt.settings.checkpoint_key_path) else None,
        facts={"settings_hash": attempt.settings.result_hash(), "versions": machine.versions()},
    )
    if attempt.mirror:
        manager.pinned = attempt.mirror.pinned
    return manager


def find_checkpoint(attempt: Attempt, manager: CheckpointManager) -> Checkpoint | None:
    """The checkpoint to resume from, with metrics and completions restored to it.

    Raises `InvalidRun` with the differing settings if the checkpoint is of another run, and if a run that has a result
    has no checkpoint.
    """
    manager.clear_partial()
    if attempt.settings.resume == "never":
        _forget(attempt, manager)
        return None
    checkpoint, damages = manager.newest_good()
    if attempt.mirror:
        damages += attempt.mirror.bring_newer(manager, than=checkpoint.step if checkpoint else 0)
        checkpoint, _ = manager.newest_good()
    for damage in damages:
        attempt.progress.warn(damage)
    if checkpoint:
        _refuse_another_run(attempt, manager, checkpoint)
    if checkpoint is None:
        _say_that_there_is_none(attempt)
    _go_back(attempt, manager, checkpoint)
    return checkpoint


def _refuse_another_run(attempt: Attempt, manager: CheckpointManager, checkpoint: Checkpoint) -> None:
    differences, has_result = manager.differences(checkpoint), bool(attempt.summary.values["adapter"])
    if refusal := identity.another_run(attempt.settings, checkpoint.step, differences, has_result=has_result):
        raise InvalidRun(refusal)
    if differences:
        attempt.progress.warn(
            f"up to step {checkpoint.step} it was trained with other files of rewards ({differences[0]})"
        )


def usable(attempt: Attempt, manager: CheckpointManager, found: Checkpoint | None, engine: Engine) -> Checkpoint | None:
    """`found`, or the newest before it that the engine can load, with a warning for each that it cannot.

    A checkpoint is whole by its manifest, which whoever writes to the mirror can write too.
    """
    while found and (fault := engine.fault_of_checkpoint(found.folder, found.step)):
        attempt.progress.warn(f"checkpoint {found.folder.name} is not used: {fault}")
        manager.set_aside(found)
        found = find_checkpoint(attempt, manager)
    return found


def refuse_fewer_steps(attempt: Attempt, resume: Checkpoint | None, planned: int) -> None:
    """Raises `InvalidRun` if the checkpoint is of a later step than is now planned."""
    if resume and (refusal := identity.too_few_steps(attempt.settings, planned, resume.step)):
        raise InvalidRun(refusal)


def _say_that_there_is_none(attempt: Attempt) -> None:
    """A run whose checkpoints are lost restarts with a warning, but never overwrites a result."""
    summary = attempt.summary.values
    places = f"no valid checkpoint is in {attempt.folder.checkpoints}"
    if attempt.mirror:
        places += f" or at {attempt.mirror.store.uri}"
    if summary["adapter"] or (attempt.summary.damage and (attempt.folder.adapter / WEIGHTS).is_file()):
        raise InvalidRun(
            f"GRPO_RUN_ID={attempt.settings.name_of_run()}: that run has a result after {summary['steps']['done']} "
            f"steps, but {places}; allowed: another GRPO_RUN_ID, or GRPO_RESUME=never to restart from step 1"
        )
    if summary["attempts"] > 1:
        attempt.progress.warn(f"attempt {summary['attempts']} starts at step 1: {places}")


def _forget(attempt: Attempt, manager: CheckpointManager) -> None:
    manager.forget()
    shutil.rmtree(attempt.folder.trackers, ignore_errors=True)
    if attempt.mirror:
        attempt.mirror.forget()
    for written in manager.extras:
        written.unlink(missing_ok=True)
    with judging.kept(attempt):
        pass


def _last_step(attempt: Attempt) -> int:
    """The last step in the metrics, which are about to be restored; 0 if they are damaged."""
    try:
        return max((row["step"] for row in read_jsonl(attempt.folder.metrics, shapes.Step)), default=0)
    except Damaged as damage:
        attempt.progress.warn(f"{damage.sentence}: it is restored from the checkpoint")
        return 0


def _go_back(attempt: Attempt, manager: CheckpointManager, checkpoint: Checkpoint | None) -> None:
    """Restore metrics and completions from the checkpoint: later steps will be repeated."""
    step = checkpoint.step if checkpoint else 0
    lost = _last_step(attempt) - step
    with judging.kept(attempt):
        manager.restore_extras(checkpoint)
    attempt.summary.update(steps={"done": step})
    if lost > 0:
        earlier = attempt.summary.values["steps"]["lost_to_resume"]
        attempt.summary.update(steps={"lost_to_resume": earlier + lost})
        attempt.progress.say(f"resuming after step {step}; repeating {lost} steps")
    elif step:
        attempt.progress.say(f"resuming after step {step}")
