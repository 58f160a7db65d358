"""GRPO_EXAMPLE=auto: shows the base a worked example where it has right answers but not in the format asked for.

Decided before the first evaluation, so that all of a run uses one prompt; kept in the summary and in each checkpoint,
so that a resumed run does not decide again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from grpo_job.inputs.chat_template import Chat
from grpo_job.inputs.row_values import with_example
from grpo_job.phases import probe
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.load import Loaded
from grpo_job.phases.no_signal import Probe
from grpo_job.preflight import Checked
from grpo_job.settings.example import AUTO, WORKED
from grpo_job.settings.schema import Settings


class Shown(NamedTuple):
    """The run with the example in its prompts, where it has one, and the tokens of the longest prompt to train on."""

    checked: Checked
    longest: int


def look_at_base(attempt: Attempt, loaded: Loaded, checked: Checked) -> tuple[Checked, Probe | None]:
    """What the base does, for `probe` to judge, and the rows with the example that it needs. A resumed run knows."""
    text = _decided(attempt, loaded)
    if text:
        checked = _use(loaded, _shown(attempt, checked, text))
    seen = probe.see(attempt, loaded.engine, checked) if loaded.resume_from is None else None
    if text is None and seen and seen.lacks_format:
        checked, seen, text = _try(attempt, loaded, checked, seen)
    if attempt.settings.example == AUTO:
        _remember(attempt, loaded, text or "")
    return checked, seen


def _decided(attempt: Attempt, loaded: Loaded) -> str | None:
    """The example of an earlier attempt, empty if it has none; None where this one decides."""
    if attempt.settings.example != AUTO:
        return ""
    if loaded.resume_from:
        return str(loaded.resume_from.manifest.get("example") or "")
    earlier = attempt.summary.values.get("example") or {}
    known = earlier.get("settings") == attempt.settings.result_hash() and earlier["text"] in ("", WORKED)
    return earlier["text"] if known else None


def _remember(attempt: Attempt, loaded: Loaded, text: str) -> None:
    loaded.checkpoints.facts["example"] = text
    earlier = attempt.summary.values.get("example") or {"text": ""}
    if earlier["text"] != text:
        attempt.folder.before.unlink(missing_ok=True)  # answers to other prompts
    attempt.summary.update(example={"text": text, "settings": attempt.settings.result_hash()})


def _try(attempt: Attempt, loaded: Loaded, checked: Checked, seen: Probe) -> tuple[Checked, Probe | None, str]:
    """With the example, unless the base earns less with it."""
    whose = f"the {attempt.settings.beginning}'s completions"
    found = f"{seen.accuracy:.1%} of {whose} have the right answer, none of them in the tags"
    shown = _shown(attempt, checked, WORKED)
    if not _enough(shown.checked, attempt.settings) or (checked.choosing and not shown.checked.choosing):
        attempt.progress.warn(f"{found}; a worked example would not fit GRPO_MAX_PROMPT_LENGTH")
        return checked, seen, ""
    better = probe.see(attempt, loaded.engine, shown.checked)
    if better is None or better.reward < seen.reward:
        attempt.progress.say(f"{found}; with a worked example in the prompt it earns less")
        return checked, seen, ""
    attempt.progress.say(
        f"{found}: a worked example now ends the system message of all prompts (GRPO_EXAMPLE=auto), and "
        f"{better.in_tags:.1%} are right in the tags{_left_out(checked, shown.checked)}"
    )
    return _use(loaded, shown), better, WORKED


def _use(loaded: Loaded, shown: Shown) -> Checked:
    loaded.engine.take_rows(shown.checked.rows.train, shown.longest)
    return shown.checked


def _shown(attempt: Attempt, checked: Checked, text: str) -> Shown:
    """Rows whose prompts are too long with the example are left out."""
    train, longest = _with(checked.rows.train, text, checked, attempt.settings)
    held_out, _ = _with(checked.rows.held_out, text, checked, attempt.settings)
    choosing, _ = _with(checked.choosing, text, checked, attempt.settings)
    rows = checked.rows._replace(train=train, held_out=held_out)
    return Shown(checked._replace(rows=rows, choosing=choosing, example=text), longest)


def _with(
    rows: Sequence[dict[str, Any]], text: str, checked: Checked, settings: Settings
) -> tuple[list[dict[str, Any]], int]:
    shown = [{**row, "prompt": with_example(row["prompt"], text)} for row in rows]
    lengths = Chat(checked.base.folder, settings).lengths([row["prompt"] for row in shown])
    fitting = [length for length in lengths if length <= settings.max_prompt_length]
    kept = [row for row, length in zip(shown, lengths, strict=True) if length <= settings.max_prompt_length]
    return kept, max(fitting, default=0)


def _enough(checked: Checked, settings: Settings) -> bool:
    train, needed = checked.rows.train, settings.prompts_per_generation
    warm = not settings.warm_start_steps or any(row["solution"] for row in train)
    return len(train) >= needed and warm and bool(checked.rows.held_out)


def _left_out(before: Checked, after: Checked) -> str:
    train, held_out = (
        len(getattr(before.rows, part)) - len(getattr(after.rows, part)) for part in ("train", "held_out")
    )
    if not train and not held_out:
        return ""
    return f"; {train} training rows and {held_out} held-out rows are now too long and left out"
