"""Evaluate before and after training, save the adapter and load it back, and compute the verdict."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from grpo_job import rewards
from grpo_job.engines.interface import Engine
from grpo_job.evaluation import dependence, grading, served_back, verdict
from grpo_job.evaluation.completion import said
from grpo_job.evaluation.measure import AUTO, Measure
from grpo_job.inputs.chat_template import Chat
from grpo_job.outcomes import Unexpected
from grpo_job.phases import judging, known_answers
from grpo_job.phases.attempt import Attempt
from grpo_job.preflight import Checked
from grpo_job.preflight.evaluation import measure_of
from grpo_job.rewards import answers, custom, tags
from grpo_job.rewards.forms import think_format
from grpo_job.run_folder.files import read_jsonl, remove, sha256, write_json, write_jsonl
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.schema import Settings

READ_BACK_ROWS = 8
FEW_GOLDS = 12  # different ones: each is tried, so that an answer is read as the gold for which it would be paid

GRADERS = grading.Graders(
    answer=lambda completion, gold: answers.correct(completion, gold) == 1.0,
    lenient=lambda completion, gold: answers.correct_anywhere(completion, gold) == 1.0,
    format=lambda completion, gold: tags.format_tags(completion, gold) == 1.0,
    read=answers.last_answer,
)


def evaluate(
    attempt: Attempt, engine: Engine, checked: Checked, *, adapter: Literal["on", "off"]
) -> list[dict[str, Any]]:
    """Grade the held-out rows: before training, `off`, what it starts from; after it the adapter.

    What training starts from does not change, so its records from an earlier attempt are reused.
    """
    answering = attempt.settings.before if adapter == "off" else adapter
    whose = attempt.settings.beginning if adapter == "off" else "adapter"
    with attempt.progress.phase("evaluate", f"evaluating the {whose}"):
        rows = checked.rows.held_out
        path = attempt.folder.before if adapter == "off" else attempt.folder.after
        measure = measure_of(attempt.settings, checked.rewards, rows)
        chat = Chat(checked.base.folder, attempt.settings)
        found = known_answers.of_base(attempt, rows, measure, chat) if adapter == "off" else None
        if found is None:
            found = records(engine, answering, rows, checked.rewards, attempt.settings, chat)
            write_jsonl(path, found)
            attempt.remember(path)
            attempt.summary.write()
        when = "before" if adapter == "off" else "after"
        accuracy, kept = mean(found, measure), grading.share(found, "format")
        attempt.summary.update(
            accuracy={when: accuracy, "rows": len(found), "measure": measure.name, "share": measure.reads_answers},
            format={when: kept},
        )
        attempt.metrics_server.name_measure(measure.name)
        attempt.metrics_server.set(accuracy=accuracy)
        judging.tell(attempt)
        attempt.progress.say(f"{told(accuracy, measure)}; format: {kept:.1%}")
    return found


def evaluate_warm(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    """Between the warm start and GRPO: the adapter on all held-out rows, for the report's middle bar."""
    chat = Chat(checked.base.folder, attempt.settings)
    found = records(engine, "on", checked.rows.held_out, checked.rewards, attempt.settings, chat)
    write_jsonl(attempt.folder.warm, found)
    attempt.summary.update(warm_of=known_answers.origin_of(attempt))
    measure = measure_of(attempt.settings, checked.rewards, checked.rows.held_out)
    accuracy, kept = mean(found, measure), grading.share(found, "format")
    attempt.summary.update(accuracy={"warm": accuracy}, format={"warm": kept})
    attempt.progress.say(f"after the warm start: {told(accuracy, measure)}; format: {kept:.1%}")


def mean(found: Sequence[dict[str, Any]], measure: Measure) -> float:
    """The mean of the measure over the records, None counted as 0; 0 without records."""
    return sum(measure.of(record) or 0.0 for record in found) / max(1, len(found))


def told(value: float, measure: Measure) -> str:
    """The measure and its value, for the log: a share as per cent."""
    return f"{measure.name}: {value:.1%}" if measure.reads_answers else f"{measure.name}: {value:.3g}"


def records(
    engine: Engine,
    adapter: Literal["on", "off"],
    rows: Sequence[dict[str, Any]],
    chosen: Sequence[rewards.Reward],
    settings: Settings,
    chat: Chat,
) -> list[dict[str, Any]]:
    """The answers to the held-out rows with their judgements, in one batched call.

    Each record has its prompt, as `messages` and as the text `prompt` that `chat` made of them, for `grpo-job verify`.
    """
    generate = partial(engine.generate, adapter=adapter, max_tokens=settings.max_completion_length)
    measure = measure_of(settings, chosen, rows)
    paid = graded_by(settings, chosen, chat.completion_ids)
    found = grading.ask(generate, rows, graders_of(measure, rows, chosen), rewards=paid, samples=settings.eval_samples)
    if adapter == "on" and not measure.reads_answers:
        dependence.deal(found, rows, {name: paid[name] for name, _ in measure.weights})
    return [
        {**record, "messages": row["prompt"], "prompt": chat.render(row["prompt"])}
        for record, row in zip(found, rows, strict=True)
    ]


def graders_of(
    measure: Measure, rows: Sequence[dict[str, Any]], chosen: Sequence[rewards.Reward] = ()
) -> grading.Graders:
    """GRADERS, for completions as they go on where the prompt ended, such as with `<think>`.

    The format is the thinking one where the rewards ask for that. Among few different golds an answer is the gold that
    the measure would pay it for.
    """
    opening = chosen[0].opening if chosen else ""
    form = think_format if any(reward.function_is(think_format) for reward in chosen) else tags.format_tags
    graders = grading.Graders(
        answer=lambda text, gold: GRADERS.answer(rewards.opened(text, opening), gold),
        lenient=lambda text, gold: GRADERS.lenient(rewards.opened(text, opening), gold),
        format=lambda text, gold: form(rewards.opened(text, opening), gold) == 1.0,
        read=lambda text: GRADERS.read(rewards.opened(text, opening)),
    )
    golds = dict.fromkeys(row["answer"] for row in rows)
    if not measure.reads_answers or len(golds) > FEW_GOLDS:
        return graders
    judge = rewards.MENU[measure.weights[0][0] if measure.weights else "correct_anywhere"]

    def read(completion: str) -> str | None:
        said = rewards.opened(completion, opening)
        return next((gold for gold in golds if judge(said, gold) == 1.0), None) or GRADERS.read(said)

    return graders._replace(read=read)


def graded_by(
    settings: Settings, chosen: Sequence[rewards.Reward], tokens: rewards.Tokens | None = None
) -> dict[str, grading.Reward]:
    """The rewards of the run and the one that is measured, by name, each for many completions and with its deadline."""
    named = {reward.name: reward for reward in chosen}
    measured = custom.short_name(settings.measure)
    if settings.measure != AUTO and measured not in named:
        options = {name: value for name, value in settings.reward_options.items() if name == measured}
        named[measured] = rewards.load([(settings.measure, 1.0)], settings.reward_path, options)[0]
    return {name: _guarded(reward, settings, tokens) for name, reward in named.items()}


def _guarded(reward: rewards.Reward, settings: Settings, tokens: rewards.Tokens | None) -> grading.Reward:
    """The reward with its deadline, asked for as many completions at once as in training.

    It reads truncated completions too: that answers end is no ability, and the verdict must not count it as one.
    """
    function = rewards.as_trl_function(reward, settings.reward_timeout_seconds, tokens, reads_truncated=True)
    size = settings.completions_per_generation
    return lambda completions, rows: rewards.in_batches(function, rows, completions, size)


def save(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    """Write the adapter and load it back: the weights must be equal, and the answers as alike as those of one adapter.

    Not all: vLLM's LoRA kernels add in any order, and where two tokens are almost equally likely an answer goes on
    otherwise. The longer it is, the likelier.
    """
    with attempt.progress.phase("save", "saving the adapter and loading it back"):
        _save_and_read_back(attempt, engine, checked.rows.held_out)


def _save_and_read_back(attempt: Attempt, engine: Engine, rows: Sequence[dict[str, Any]]) -> None:
    folder = attempt.folder.adapter
    prompts, tokens = [row["prompt"] for row in rows[:READ_BACK_ROWS]], attempt.settings.max_completion_length
    keep(engine, attempt)
    whole = engine.is_saved_in(folder / WEIGHTS)
    in_memory = [answers[0].text for answers in engine.generate(prompts, adapter="on", max_tokens=tokens)]
    read_back = engine.generate_from(folder, prompts, tokens)
    alike, again = _alike(in_memory, read_back), len(prompts)
    if alike < len(prompts) / 2:
        again = _alike(read_back, engine.generate_from(folder, prompts, tokens))
    if not whole or served_back.fewer(alike, again, len(prompts)):
        raise Unexpected(
            f"the saved adapter in {folder} differs from the trained one: its weights {'are' if whole else 'are not'} "
            f"those in memory, {alike} of {len(prompts)} answers are the same"
        )
    if not engine.adapter_changes_anything():
        attempt.progress.warn("no LoRA weight that affects the output has changed: the rewards gave no gradient")
    attempt.summary.update(adapter={"read_back": {"rows": len(prompts), "alike": alike}})


def _alike(answers: Sequence[str], others: Sequence[str]) -> int:
    return sum(one == other for one, other in zip(answers, others, strict=True))


def keep(engine: Engine, attempt: Attempt) -> None:
    """Write the adapter, and its path and SHA-256 to the summary."""
    folder = attempt.folder.adapter
    remove(folder)  # what an earlier attempt left may be damaged, and peft goes on from it
    remove(attempt.folder.merged)  # it would be published beside another adapter
    engine.save_adapter(folder)
    attempt.forget_result()
    attempt.summary.update(adapter={"path": str(folder), "sha256": sha256(folder / WEIGHTS)})


def _warm(attempt: Attempt, checked: Checked) -> list[dict[str, Any]]:
    """The answers after the warm start; paid again if the files of rewards were edited since."""
    found, rows = read_jsonl(attempt.folder.warm), checked.rows.held_out
    of = known_answers.origin_of(attempt)
    known = attempt.summary.values.get("warm_of", of)
    asked = [(row["question"], row["gold"]) for row in found]
    if known == of or asked != [(row["question"], row["answer"]) for row in rows]:
        return found
    paying = graded_by(attempt.settings, checked.rewards, Chat(checked.base.folder, attempt.settings).completion_ids)
    paid = {name: reward([said(record) for record in found], rows) for name, reward in paying.items()}
    for number, record in enumerate(found):
        record["rewards"] = {name: scores[number] for name, scores in paid.items()}
    write_jsonl(attempt.folder.warm, found)
    attempt.summary.update(warm_of=of)
    return found


def judge(
    attempt: Attempt, checked: Checked, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]
) -> None:
    """Compare before and after, row by row, by the measure of the run."""
    measure = measure_of(attempt.settings, checked.rewards, checked.rows.held_out)
    judged = verdict.judge(before, after, measure, warm=_warm(attempt, checked))
    write_json(attempt.folder.verdict, judged)
    attempt.remember(attempt.folder.verdict)
    found = judged["primary"]
    if "warm" not in found:  # what is known of a warm start is of other held-out rows, or of an earlier beginning
        for part in ("accuracy", "format"):
            attempt.summary.values[part].pop("warm", None)
    attempt.summary.update(
        accuracy={
            **{key: found[key] for key in ("before", "after", "rows", "p_value")},
            **({"warm": found["warm"]} if "warm" in found else {}),
            "verdict": judged["verdict"],
            "measure": judged["measure"]["name"],
            "share": judged["measure"]["share"],
            "notes": judged["notes"],
        }
    )
    attempt.flush_mirror()
