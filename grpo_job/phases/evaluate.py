"""Evaluate before and after training, save the adapter and load it back, and compute the verdict."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from grpo_job import rewards
from grpo_job.engines.interface import Engine
from grpo_job.evaluation import grading, verdict
from grpo_job.inputs.chat_template import Chat
from grpo_job.outcomes import Unexpected
from grpo_job.phases.attempt import Attempt
from grpo_job.preflight import Checked
from grpo_job.rewards import answers, calling, tags
from grpo_job.run_folder.files import read_jsonl, sha256, write_json, write_jsonl
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.schema import Settings

READ_BACK_ROWS = 8

GRADERS = grading.Graders(
    answer=lambda completion, gold: answers.correct(completion, gold) == 1.0,
    lenient=lambda completion, gold: answers.correct_anywhere(completion, gold) == 1.0,
    format=lambda completion, gold: tags.format_tags(completion, gold) == 1.0,
)


def evaluate(
    attempt: Attempt, engine: Engine, checked: Checked, *, adapter: Literal["on", "off"]
) -> list[dict[str, Any]]:
    """Grade the held-out rows. The base does not change, so its records from an earlier attempt are reused."""
    with attempt.progress.phase("evaluate", f"evaluating the {'base' if adapter == 'off' else 'adapter'}"):
        rows = checked.rows.held_out
        path = attempt.folder.before if adapter == "off" else attempt.folder.after
        found = _records_of(path, rows, attempt.settings.eval_samples) if adapter == "off" else None
        if found is None:
            found = records(engine, adapter, rows, checked.rewards, attempt.settings, Chat(checked.base.folder).ids)
            write_jsonl(path, found)
        when = "before" if adapter == "off" else "after"
        accuracy, kept = grading.share(found, "correct"), grading.share(found, "format")
        attempt.summary.update(accuracy={when: accuracy, "rows": len(found)}, format={when: kept})
        attempt.metrics_server.set(accuracy=accuracy)
        attempt.progress.say(f"accuracy {accuracy:.1%}, format {kept:.1%}")
    return found


def records(
    engine: Engine,
    adapter: Literal["on", "off"],
    rows: Sequence[dict[str, Any]],
    chosen: Sequence[rewards.Reward],
    settings: Settings,
    tokens: rewards.Tokens | None = None,
) -> list[dict[str, Any]]:
    """The answers to the held-out rows with their judgements, in one batched call.

    `tokens`: the ids of completions, for rewards that ask for them.
    """
    generate = partial(engine.generate, adapter=adapter, max_tokens=settings.max_completion_length)
    paid = {reward.name: _guarded(reward, settings, tokens) for reward in chosen}
    return grading.ask(generate, rows, GRADERS, rewards=paid, samples=settings.eval_samples)


def _records_of(path: Any, rows: Sequence[dict[str, Any]], samples: int) -> list[dict[str, Any]] | None:
    """The records in `path` if they are for exactly these rows and samples."""
    there = read_jsonl(path)
    asked = [(row["question"], row["answer"], samples if samples > 1 else 0) for row in rows]
    return (
        there
        if asked == [(record["question"], record["gold"], len(record.get("samples", ()))) for record in there]
        else None
    )


def _guarded(
    reward: rewards.Reward, settings: Settings, tokens: rewards.Tokens | None
) -> Callable[[str, dict[str, Any]], float | None]:
    """The reward with its deadline, for one completion."""
    function = rewards.as_trl_function(reward, settings.reward_timeout_seconds, tokens)
    return lambda completion, row: function(**calling.batch_of(row, [completion]))[0]


def save(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    """Write the adapter and load it back: the weights must be equal, and most answers too.

    Not all: in a batch with other rows, 16-bit answers differ where two tokens are almost equally likely.
    """
    with attempt.progress.phase("save", "saving the adapter and loading it back"):
        _save_and_read_back(attempt, engine, checked.rows.held_out)


def _save_and_read_back(attempt: Attempt, engine: Engine, rows: Sequence[dict[str, Any]]) -> None:
    folder = attempt.folder.adapter
    prompts, tokens = [row["prompt"] for row in rows[:READ_BACK_ROWS]], attempt.settings.max_completion_length
    keep(engine, attempt)
    whole = engine.is_saved_in(folder / WEIGHTS)
    in_memory = [answers[0] for answers in engine.generate(prompts, adapter="on", max_tokens=tokens)]
    read_back = engine.generate_from(folder, prompts, tokens)
    alike = sum(ours == theirs for ours, theirs in zip(in_memory, read_back, strict=True))
    if not whole or alike < len(prompts) / 2:
        raise Unexpected(
            f"the saved adapter in {folder} differs from the trained one: its weights {'are' if whole else 'are not'} "
            f"those in memory, {alike} of {len(prompts)} answers are the same"
        )
    if not engine.adapter_changes_anything():
        attempt.progress.warn("every LoRA weight that affects the output is zero: the rewards gave no gradient")
    attempt.summary.update(adapter={"read_back": {"rows": len(prompts), "alike": alike}})


def keep(engine: Engine, attempt: Attempt) -> None:
    """Write the adapter, and its path and SHA-256 to the summary."""
    folder = attempt.folder.adapter
    engine.save_adapter(folder)
    attempt.summary.update(adapter={"path": str(folder), "sha256": sha256(folder / WEIGHTS)})


def judge(attempt: Attempt, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> None:
    judged = verdict.judge(before, after)
    write_json(attempt.folder.verdict, judged)
    found = judged["correct"]
    attempt.summary.update(accuracy={key: found[key] for key in ("before", "after", "rows", "verdict", "p_value")})
    attempt.flush_mirror()
