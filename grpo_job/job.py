"""THE STORY: one run from settings to published adapter, top to bottom.

Each step is one room of the package. The rooms do not know each other; what one finds out is
handed to the next here.
"""

from collections.abc import Mapping
from pathlib import Path

from grpo_job import engines, preflight, rewards
from grpo_job.engines.interface import Engine
from grpo_job.engines.ranks import ALONE, Load, Ranks
from grpo_job.inputs import base_model
from grpo_job.monitoring.progress import libraries_write_to
from grpo_job.monitoring.trackers import Trackers
from grpo_job.outcomes import FINISHED, Ending, Hopeless
from grpo_job.phases import evaluate, oom_replan, outcome, probe, publish, sample_prompts, train
from grpo_job.phases import resume as resuming
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.periodic_eval import Midway
from grpo_job.run_folder.files import write_json
from grpo_job.runtime import machine
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import Resolved


def run(resolved: Resolved, environment: Mapping[str, str], interruption: Interruption, ranks: Ranks = ALONE) -> Ending:
    """Do all that is left of a run and record how it ended. Only unknown errors are raised.

    Of several processes this is the story of rank 0; that of the others is in `worker.py`.
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
    with outcome.recorded(attempt):
        write_json(attempt.folder.settings, {"settings": settings.model_dump(mode="json"), "from": resolved.origins})
        if not attempt.is_trained():
            _train_and_measure(attempt)
        with phase("publish", f"publishing to {', '.join(settings.publish_to) or 'the run folder only'}"):
            attempt.confirm_alone()
            publish.publish(attempt)
    if attempt.ending.code == Hopeless.code:
        publish.report_the_end(attempt)
    return attempt.ending


def _train_and_measure(attempt: Attempt) -> None:
    settings, phase = attempt.settings, attempt.progress.phase
    with phase("check", f"run {settings.name_of_run()}: checking"):
        checked = preflight.check(settings, attempt.environment, oom_replan.within(attempt.folder))
        _tell_findings(attempt, checked)
    with phase("download", f"fetching {settings.model}"):
        base = base_model.fetch(settings.model, checked.base.commit or settings.model_revision)
        _write_environment(attempt, checked, base)
    with train.trackers_of(attempt) as trackers:
        with libraries_write_to(attempt.folder.library_log), oom_replan.where_memory_runs_out(attempt, checked):
            _with_engine(attempt, checked, base, trackers)
        if settings.publish_merged:
            with phase("save", "merging adapter and base"), libraries_write_to(attempt.folder.library_log):
                engines.merge(base, attempt.folder.adapter, attempt.folder.merged)
        with phase("publish", "writing the report and the card"):
            publish.describe(attempt, base)
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
        before = evaluate.evaluate(engine, "off", rows.held_out, checked.rewards, attempt)
    attempt.summary.forget_stop(anew=resume is None)
    budget = probe.budget_of(attempt, fresh=resume is None)
    if resume is None:
        probe.look_for_a_signal(engine, checked, base, attempt)
    train.start_trackers(trackers, attempt, keeper, resume)
    with phase("train", f"training {engine.planned_steps} steps"), attempt.interruption.at_step_boundary():
        midway = Midway(engine, rows.held_out, attempt)
        done = resume.step if resume else 0
        watcher = train.Watcher(
            attempt, keeper, engine.planned_steps, done, midway=midway, trackers=trackers, budget=budget
        )
        train.train(engine, watcher, midway, resume)
    if verdict := watcher.health.verdict:
        evaluate.keep(engine, attempt)
        attempt.flush_mirror()
        raise Hopeless(verdict.sentence)
    midway.settle(engine.planned_steps)
    with phase("evaluate", "evaluating the adapter"):
        after = evaluate.evaluate(engine, "on", rows.held_out, checked.rewards, attempt)
    with phase("save", "saving the adapter and reading it back"):
        evaluate.save(engine, rows.held_out, attempt)
    with phase("evaluate", "answering the questions of GRPO_SAMPLE_PROMPTS"):
        sample_prompts.answer(engine, base, attempt)
    evaluate.judge(before, after, attempt)
    attempt.flush_mirror()
    engine.close()


def _build(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel, folder: Path) -> Engine:
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
            "backed_off": oom_replan.trials(attempt.folder),
            "model": {"name": base.name, "commit": base.commit},
            "dataset": {
                "name": attempt.settings.dataset,
                "commit": checked.rows.revision,
                "train": vars(checked.rows.train_counts),
                "held_out": vars(checked.rows.held_out_counts),
            },
        },
    )
