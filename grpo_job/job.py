"""THE STORY: one run from settings to published adapter, top to bottom.

Each step is one room of the package. The rooms do not know each other; what one finds out is
handed to the next here.
"""

from collections.abc import Mapping
from pathlib import Path

from grpo_job import (
    back_off,
    base_model,
    before_training,
    delivery,
    endings,
    engines,
    machine,
    measurement,
    preflight,
    resuming,
    rewards,
    samples,
    training,
)
from grpo_job.attempt import Attempt
from grpo_job.failures import FINISHED, Ending, Hopeless
from grpo_job.interruption import Interruption
from grpo_job.midway import Midway
from grpo_job.progress import libraries_write_to
from grpo_job.ranks import ALONE, Load, Ranks
from grpo_job.run_folder import write_json
from grpo_job.settings_reader import Resolved
from grpo_job.trackers import Trackers


def run(resolved: Resolved, environment: Mapping[str, str], interruption: Interruption, ranks: Ranks = ALONE) -> Ending:
    """Do all that is left of a run and record how it ended. Only unknown errors are raised.

    Of several processes this is the story of rank 0; that of the others is in `following.py`.
    """
    settings = resolved.settings
    attempt = Attempt(settings, interruption, environment, ranks)
    if not attempt.is_finished():
        with attempt.alone():  # another attempt may hold the run, or even end it while this one waits
            if not attempt.is_finished():
                return _do_what_is_left(attempt, resolved)
    attempt.progress.say(f"run {settings.name_of_run()} is finished already: {attempt.folder.path}")
    return FINISHED


def _do_what_is_left(attempt: Attempt, resolved: Resolved) -> Ending:
    settings, phase = attempt.settings, attempt.progress.phase
    with endings.recorded(attempt):
        write_json(attempt.folder.settings, {"settings": settings.model_dump(mode="json"), "from": resolved.origins})
        if not attempt.is_trained():
            _train_and_measure(attempt)
        with phase("publish", f"publishing to {', '.join(settings.publish_to) or 'the run folder only'}"):
            attempt.confirm_alone()
            delivery.publish(attempt)
    if attempt.ending.code == Hopeless.code:
        delivery.report_the_end(attempt)
    return attempt.ending


def _train_and_measure(attempt: Attempt) -> None:
    settings, phase = attempt.settings, attempt.progress.phase
    with phase("check", f"run {settings.name_of_run()}: checking"):
        checked = preflight.check(settings, attempt.environment, back_off.within(attempt.folder))
        _tell_findings(attempt, checked)
    with phase("download", f"fetching {settings.model}"):
        base = base_model.fetch(settings.model, checked.base.commit or settings.model_revision)
        _write_environment(attempt, checked, base)
    with training.trackers_of(attempt) as trackers:
        with libraries_write_to(attempt.folder.library_log), back_off.where_memory_runs_out(attempt, checked):
            _with_engine(attempt, checked, base, trackers)
        if settings.publish_merged:
            with phase("save", "merging adapter and base"), libraries_write_to(attempt.folder.library_log):
                engines.merge(base, attempt.folder.adapter, attempt.folder.merged)
        with phase("publish", "writing the report and the card"):
            delivery.describe(attempt, base)
            with libraries_write_to(attempt.folder.library_log):
                trackers.conclude(attempt.summary.values, attempt.folder.report)


def _with_engine(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel, trackers: Trackers) -> None:
    """All that needs the model in memory."""
    settings, rows, phase = attempt.settings, checked.rows, attempt.progress.phase
    with phase("load", f"loading {settings.model} with the engine {checked.engine}"):
        keeper = resuming.keeper_of(attempt, base.commit, rows.revision)
        resume = resuming.resume_point(attempt, keeper)
        engine = _build(attempt, checked, base, keeper.partial)
        resuming.refuse_fewer_steps(attempt, resume, engine.planned_steps)
    attempt.summary.forget_result()
    with phase("evaluate", "evaluating the base"):
        before = measurement.evaluate(engine, "off", rows.held_out, checked.rewards, attempt)
    attempt.summary.forget_stop(anew=resume is None)
    budget = before_training.budget_of(attempt, fresh=resume is None)
    if resume is None:
        before_training.look_for_a_signal(engine, checked, base, attempt)
    training.start_trackers(trackers, attempt, keeper, resume)
    with phase("train", f"training {engine.planned_steps} steps"), attempt.interruption.at_step_boundary():
        midway = Midway(engine, rows.held_out, attempt)
        done = resume.step if resume else 0
        watcher = training.Watcher(
            attempt, keeper, engine.planned_steps, done, midway=midway, trackers=trackers, budget=budget
        )
        training.train(engine, watcher, midway, resume)
    if verdict := watcher.health.verdict:
        measurement.keep(engine, attempt)
        attempt.flush_mirror()
        raise Hopeless(verdict.sentence)
    midway.settle(engine.planned_steps)
    with phase("evaluate", "evaluating the adapter"):
        after = measurement.evaluate(engine, "on", rows.held_out, checked.rewards, attempt)
    with phase("save", "saving the adapter and reading it back"):
        measurement.save(engine, rows.held_out, attempt)
    with phase("evaluate", "answering the questions of GRPO_SAMPLE_PROMPTS"):
        samples.answer(engine, base, attempt)
    measurement.judge(before, after, attempt)
    attempt.flush_mirror()
    engine.close()


def _build(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel, folder: Path) -> engines.Engine:
    """The engine, on all ranks together."""
    settings, ranks, rows = attempt.settings, attempt.ranks, checked.rows.train
    functions = rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds)
    ranks.say(Load(checked.engine, checked.plan, base.commit))
    ranks.share((rows, folder))
    return engines.build(checked.engine, settings, base, rows, functions, folder, checked.plan, ranks)


def _tell_findings(attempt: Attempt, checked: preflight.Checked) -> None:
    rows, progress = checked.rows, attempt.progress
    progress.say(f"training on {rows.train_counts.sentence()}")
    for finding in checked.findings:
        if finding.status == "warned":
            progress.warn(finding.sentence)
    progress.say(f"held out: {len(rows.held_out)} of {rows.held_out_counts.sentence()}")


def _write_environment(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel) -> None:
    """What this result depends on beside the settings."""
    write_json(
        attempt.folder.environment,
        {
            **machine.describe(checked.gpus),
            "engine": checked.engine,
            "plan": checked.plan.as_dict() if checked.plan else None,
            "backed_off": back_off.trials(attempt.folder),
            "model": {"name": base.name, "commit": base.commit},
            "dataset": {
                "name": attempt.settings.dataset,
                "commit": checked.rows.revision,
                "train": vars(checked.rows.train_counts),
                "held_out": vars(checked.rows.held_out_counts),
            },
        },
    )
