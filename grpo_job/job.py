"""THE STORY: one run from settings to published adapter, top to bottom.

Each step is one room of the package. The rooms do not know each other; what one finds out is
handed to the next here.
"""

from collections.abc import Mapping
from functools import partial

from grpo_job import (
    base_model,
    budget,
    delivery,
    engines,
    machine,
    measurement,
    preflight,
    probe,
    rewards,
    samples,
    training,
)
from grpo_job.attempt import FINISHED, Attempt
from grpo_job.chat import Chat
from grpo_job.failures import Ending, Hopeless, Refused
from grpo_job.interruption import Interruption
from grpo_job.midway import Midway
from grpo_job.progress import libraries_write_to
from grpo_job.run_folder import write_json
from grpo_job.settings_reader import Resolved
from grpo_job.trackers import Trackers


def run(resolved: Resolved, environment: Mapping[str, str], interruption: Interruption) -> Ending:
    """Do all that is left of a run and record how it ended. Only unknown errors are raised."""
    settings = resolved.settings
    attempt = Attempt(settings, interruption, environment)
    if not attempt.is_finished():
        with attempt.alone():  # another attempt may hold the run, or even end it while this one waits
            if not attempt.is_finished():
                return _do_what_is_left(attempt, resolved, environment)
    attempt.progress.say(f"run {settings.name_of_run()} is finished already: {attempt.folder.path}")
    return FINISHED


def _do_what_is_left(attempt: Attempt, resolved: Resolved, environment: Mapping[str, str]) -> Ending:
    settings, phase = attempt.settings, attempt.progress.phase
    with attempt.recorded():
        write_json(attempt.folder.settings, {"settings": settings.model_dump(mode="json"), "from": resolved.origins})
        if not attempt.is_trained():
            _train_and_measure(attempt, environment)
        with phase("publish", f"publishing to {', '.join(settings.publish_to) or 'the run folder only'}"):
            attempt.confirm_alone()
            delivery.publish(attempt, environment)
    return attempt.ending


def _train_and_measure(attempt: Attempt, environment: Mapping[str, str]) -> None:
    settings, phase = attempt.settings, attempt.progress.phase
    with phase("check", f"run {settings.name_of_run()}: checking"):
        checked = preflight.check(settings, environment)
        rows = checked.rows
        attempt.progress.say(f"training on {rows.train_counts.sentence()}")
        for finding in checked.findings:
            if finding.status == "warned":
                attempt.progress.warn(finding.sentence)
        attempt.progress.say(f"held out: {len(rows.held_out)} of {rows.held_out_counts.sentence()}")
    with phase("download", f"fetching {settings.model}"):
        base = base_model.fetch(settings.model, checked.base.commit or settings.model_revision)
        _write_environment(attempt, checked, base)
    with libraries_write_to(attempt.folder.library_log):
        trackers = _with_engine(attempt, checked, base)
    with phase("save", "writing the report and the card"):
        if settings.publish_merged:
            with libraries_write_to(attempt.folder.library_log):
                engines.merge(base, attempt.folder.adapter, attempt.folder.merged)
        delivery.describe(attempt, base)
        trackers.close(attempt.summary.values, attempt.folder.report)


def _with_engine(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel) -> Trackers:
    """All that needs the model in memory. Answers the trackers, which get the report too."""
    settings, rows, phase = attempt.settings, checked.rows, attempt.progress.phase
    with phase("load", f"loading {settings.model} with the engine {checked.engine}"):
        keeper = training.keeper_of(attempt, base.commit, rows.revision)
        resume = training.resume_point(attempt, keeper)
        trackers = training.open_trackers(attempt, keeper, resume)
        functions = [
            (rewards.as_trl_function(reward, settings.reward_timeout_seconds), reward.weight)
            for reward in checked.rewards
        ]
        engine = engines.build(checked.engine, settings, base, rows.train, functions, keeper.partial, checked.plan)
        training.refuse_fewer_steps(attempt, resume, engine.planned_steps)
    attempt.summary.forget_result()
    with phase("evaluate", "evaluating the base"):
        before = measurement.evaluate(engine, "off", rows.held_out, checked.rewards, attempt)
    _look_before(engine, checked, base, attempt, fresh=resume is None)
    with phase("train", f"training {engine.planned_steps} steps"), attempt.interruption.at_step_boundary():
        midway = Midway(engine, rows.held_out, attempt)
        watcher = training.Watcher(
            attempt, keeper, engine.planned_steps, resume.step if resume else 0, midway=midway, trackers=trackers
        )
        if midway.go_on_from(resume):
            with watcher.watching():
                engine.train(watcher, resume.folder if resume else None)
        watcher.life_signs.close()
    if watcher.health.verdict:
        engine.save_adapter(attempt.folder.adapter)
        raise Hopeless(watcher.health.verdict.sentence)
    midway.settle(engine.planned_steps)
    with phase("evaluate", "evaluating the adapter"):
        after = measurement.evaluate(engine, "on", rows.held_out, checked.rewards, attempt)
    with phase("save", "saving the adapter and reading it back"):
        measurement.save(engine, after, rows.held_out, attempt)
    with phase("evaluate", "answering the questions of GRPO_SAMPLE_PROMPTS"):
        samples.answer(engine, base, attempt)
    measurement.judge(before, after, attempt)
    attempt.flush_mirror()
    engine.close()
    return trackers


def _look_before(
    engine: engines.Engine, checked: preflight.Checked, base: base_model.BaseModel, attempt: Attempt, *, fresh: bool
) -> None:
    """Before step 1: is there time for it, and would training have a signal to learn from?"""
    settings, say = attempt.settings, attempt.progress.say
    attempt.summary.update(stopped=None)
    left = budget.Budget(settings, attempt.progress.total)
    left.took("evaluate", attempt.progress.seconds["evaluate"])
    if refusal := left.reason_to_refuse():
        raise Refused(refusal)
    if not fresh or settings.health == "off" or not settings.probe_prompts:
        return
    encode, seconds = Chat(base.folder).tokenizer.encode_batch, settings.reward_timeout_seconds
    found = probe.probe(
        partial(engine.generate, adapter="off"),
        probe.chosen(checked.rows.train, settings),
        [(rewards.as_trl_function(reward, seconds), reward.weight) for reward in checked.rewards],
        measurement.GRADERS.answer,
        lambda texts: [len(tokens.ids) for tokens in encode(list(texts))],
        settings,
    )
    say(f"probe of the base: {found.sentence()}")
    if hopeless := found.hopeless(settings):
        if settings.health == "stop":
            raise Hopeless(hopeless)
        attempt.progress.warn(hopeless)


def _write_environment(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel) -> None:
    """What this result depends on beside the settings."""
    write_json(
        attempt.folder.environment,
        {
            **machine.describe(checked.gpus),
            "engine": checked.engine,
            "plan": checked.plan.as_dict() if checked.plan else None,
            "model": {"name": base.name, "commit": base.commit},
            "dataset": {"name": attempt.settings.dataset, "commit": checked.rows.revision},
        },
    )
