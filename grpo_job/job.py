"""THE STORY: one run from settings to published adapter, top to bottom.

Each step is one room of the package. The rooms do not know each other; what one finds out is
handed to the next here.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from grpo_job import base_model, engines, machine, preflight, publishing, rewards, training
from grpo_job.attempt import FINISHED, Attempt
from grpo_job.evaluation import held_out, statistics
from grpo_job.failures import Ending, Unexpected, Unpublished
from grpo_job.interruption import Interruption
from grpo_job.progress import libraries_write_to
from grpo_job.rewards import answers, tags
from grpo_job.run_folder import read_jsonl, sha256, write_json, write_jsonl
from grpo_job.settings_reader import Resolved

READ_BACK_ROWS = 8

GRADERS = held_out.Graders(
    answer=lambda completion, gold: answers.correct(completion, gold) == 1.0,
    lenient=lambda completion, gold: answers.correct_anywhere(completion, gold) == 1.0,
    format=lambda completion, gold: tags.format_tags(completion, gold) == 1.0,
)


def run(resolved: Resolved, environment: Mapping[str, str], interruption: Interruption) -> Ending:
    """Do all that is left of a run and record how it ended. Only unknown errors are raised."""
    settings = resolved.settings
    attempt = Attempt(settings, interruption)
    say, phase = attempt.progress.say, attempt.progress.phase
    if attempt.summary.ended_with == 0:
        say(f"run {settings.name_of_run()} is finished already: {attempt.folder.path}")
        return FINISHED
    with attempt.recorded():
        write_json(attempt.folder.settings, {"settings": settings.model_dump(mode="json"), "from": resolved.origins})
        if attempt.summary.ended_with != Unpublished.code:
            _train_and_measure(attempt, environment)
        with phase("publish", f"publishing to {', '.join(settings.publish_to) or 'the run folder only'}"):
            _publish(attempt, environment)
    return attempt.ending


def _train_and_measure(attempt: Attempt, environment: Mapping[str, str]) -> None:
    settings, phase = attempt.settings, attempt.progress.phase
    with phase("check", f"run {settings.name_of_run()}: checking"):
        checked = preflight.check(settings, environment)
        rows = checked.rows
        attempt.progress.say(f"training on {rows.train_counts.sentence()}")
        attempt.progress.say(f"held out: {len(rows.held_out)} of {rows.held_out_counts.sentence()}")
    with phase("download", f"fetching {settings.model}"):
        base = base_model.fetch(settings.model, checked.base.commit or settings.model_revision)
        _write_environment(attempt, checked, base)
    with libraries_write_to(attempt.folder.library_log):
        _with_engine(attempt, checked, base)


def _with_engine(attempt: Attempt, checked: preflight.Checked, base: base_model.BaseModel) -> None:
    """All that needs the model in memory."""
    settings, rows, phase = attempt.settings, checked.rows, attempt.progress.phase
    with phase("load", f"loading {settings.model} with the engine {checked.engine}"):
        keeper = training.keeper_of(attempt, base.commit)
        resume = training.resume_point(attempt, keeper)
        functions = [
            (rewards.as_trl_function(reward, settings.reward_timeout_seconds), reward.weight)
            for reward in checked.rewards
        ]
        engine = engines.build(checked.engine, settings, base, rows.train, functions, keeper.partial, checked.plan)
    with phase("evaluate", "evaluating the base"):
        before = _evaluate(engine, "off", rows.held_out, attempt)
    with phase("train", f"training {engine.planned_steps} steps"), attempt.interruption.at_step_boundary():
        watcher = training.Watcher(attempt, keeper, engine.planned_steps)
        engine.train(watcher, resume.folder if resume else None)
    with phase("evaluate", "evaluating the adapter"):
        after = _evaluate(engine, "on", rows.held_out, attempt)
    with phase("save", "saving the adapter and reading it back"):
        _save(engine, after, rows.held_out, attempt)
    _judge(before, after, attempt)
    engine.close()


def _evaluate(
    engine: engines.Engine, adapter: Literal["on", "off"], rows: Sequence[dict[str, Any]], attempt: Attempt
) -> list[dict[str, Any]]:
    """Grade the held-out rows. The base does not change, so its records from an earlier attempt are taken again."""
    path = attempt.folder.before if adapter == "off" else attempt.folder.after
    earlier = read_jsonl(path) if adapter == "off" else []
    if [(row["question"], row["answer"]) for row in rows] == [(row["question"], row["gold"]) for row in earlier]:
        return earlier
    generate = partial(engine.generate, adapter=adapter, max_tokens=attempt.settings.max_completion_length)
    records = held_out.ask(generate, rows, GRADERS)
    write_jsonl(path, records)
    when = "before" if adapter == "off" else "after"
    accuracy = held_out.share(records, "correct")
    attempt.summary.update(
        accuracy={when: accuracy, "rows": len(records)}, format={when: held_out.share(records, "format")}
    )
    attempt.progress.say(f"accuracy {accuracy:.1%}, format {attempt.summary.values['format'][when]:.1%}")
    return records


def _save(
    engine: engines.Engine, after: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], attempt: Attempt
) -> None:
    """Write the adapter, read it back from disk, and compare its answers with those of the model in memory."""
    folder = attempt.folder.adapter
    engine.save_adapter(folder)
    few = rows[:READ_BACK_ROWS]
    answers_now = engine.generate_from(folder, [row["prompt"] for row in few], attempt.settings.max_completion_length)
    if answers_now != [record["completion"] for record in after[: len(few)]]:
        raise Unexpected(f"the adapter in {folder} answers differently from the trained model: it was not saved whole")
    if not engine.adapter_changes_anything():
        attempt.progress.warn("every LoRA weight that reaches the output is zero: the rewards gave no gradient")
    attempt.summary.update(adapter={"path": str(folder), "sha256": sha256(folder / "adapter_model.safetensors")})


def _judge(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], attempt: Attempt) -> None:
    """Compare before and after, row by row."""
    judged = {
        key: statistics.compare([bool(row[key]) for row in before], [bool(row[key]) for row in after])
        for key in ("correct", "correct_lenient", "format")
    }
    write_json(attempt.folder.verdict, judged)
    found = judged["correct"]
    attempt.summary.update(accuracy={key: found[key] for key in ("before", "after", "rows", "verdict", "p_value")})


def _publish(attempt: Attempt, environment: Mapping[str, str]) -> None:
    """Send the result everywhere it was asked for; one destination's failure does not stop the others."""
    attempt.summary.write()
    settings = attempt.settings
    if not settings.publish_to:
        return
    places = publishing.publish(
        attempt.folder.path, settings.publish_to, private=settings.publish_private, environment=environment
    )
    done = [place for place in places if place.verified]
    attempt.summary.update(
        published=[{"uri": place.uri, "revision": place.revision, "verified": True} for place in done]
    )
    if failures := [place.failure for place in places if not place.verified]:
        raise Unpublished("; ".join([*failures, f"to finish: grpo-job publish {attempt.folder.path}"]))


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
