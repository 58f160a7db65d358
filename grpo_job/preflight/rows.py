"""Checks the rows: how many are left, how long their prompts are, what was left out and why."""

from collections.abc import Callable, Iterator, Sequence

from grpo_job.evaluation.notes import counted
from grpo_job.inputs.dataset import Counts, Rows
from grpo_job.inputs.questions import normalised
from grpo_job.preflight import gold_answers, unshown
from grpo_job.preflight.findings import Finding
from grpo_job.settings.schema import Settings

# Above these shares, the remaining rows are probably not what the user meant to train on.
TOO_LONG = 0.05
UNANSWERABLE = 0.01
DUPLICATE = 0.2
OVERLAP = 0.05
FEWEST_HELD_OUT = 50  # below, one standard error is more than 7 points, which hides usual gains
KEPT = 0.99  # the proposed token limit keeps this share
MOST_EPOCHS = 20  # more epochs over the same few rows memorize them


def findings(rows: Rows, settings: Settings, *, measured: bool = True) -> Iterator[Finding]:
    """Without a tokenizer the prompts were not `measured`."""
    held_out = rows.held_out_counts
    used = f"evaluating on {len(rows.held_out)} of {counted(held_out.kept, 'held-out row')}{held_out.left_out()}"
    yield Finding("passed", "rows", f"training on {rows.train_counts.sentence()}; {_epochs(rows, settings):.2g} epochs")
    yield Finding("passed", "held-out rows", used)
    yield _lengths(rows.lengths if measured else (), settings)
    for check in ROW_CHECKS:
        if message := check(rows, settings):
            yield Finding("warned", "rows", message)
    for check in (_unused_split, _overlap, _under_other_systems, _few_held_out):
        if message := check(rows, settings):
            yield Finding("warned", "held-out rows", message)
    if message := _no_verdict_to_publish_by(rows, settings):
        yield Finding("failed", "held-out rows", message)


def templated(rows: Rows, own_tokens: Sequence[str], settings: Settings) -> Iterator[Finding]:
    """Questions that were rendered by a chat template already; `own_tokens` are those that the model's writes."""
    for token in own_tokens:
        number = sum(token in row["question"] for row in rows.train)
        if number > len(rows.train) / 2:
            why = (
                f"{number} of {len(rows.train)} questions hold {token}, so that the chat template is applied to them "
                f"twice: take it out of GRPO_PROMPT_COLUMN={settings.prompt_column}, or give a list of messages"
            )
            yield Finding("warned", "rows", why)
            return


def solutions(rows: Rows, count: Callable[[Sequence[str]], list[int]], settings: Settings) -> Finding:
    """How many rows the warm start can learn from; solutions that are too long are taken out of `rows`."""
    solved = [row for row in rows.train if row["solution"]]
    lengths = count([row["solution"] for row in solved])
    long = [
        row for row, tokens in zip(solved, lengths, strict=True) if tokens + 1 > settings.max_completion_length
    ]  # the end token too
    for row in long:
        row["solution"] = ""
    known = f"{len(solved) - len(long)} of {len(rows.train)} training rows have a worked solution"
    too_long = f", {len(long)} more are longer than GRPO_MAX_COMPLETION_LENGTH" if long else ""
    if len(solved) > len(long):
        return Finding("passed", "warm start", known + too_long)
    column = settings.solution_column
    return Finding(
        "failed",
        "warm start",
        f"GRPO_WARM_START_STEPS={settings.warm_start_steps} was given, but {known}{too_long}; allowed: rows with one "
        f"in GRPO_SOLUTION_COLUMN ({column or 'not set'}), or before #### in GRPO_ANSWER_COLUMN",
    )


def _lengths(seen: Sequence[int], settings: Settings) -> Finding:
    ordered, limit = sorted(seen), settings.max_prompt_length
    if not ordered:
        return Finding("skipped", "prompt lengths", "no prompt was measured")
    share = sum(length > limit for length in ordered) / len(ordered)
    known = f"median prompt {ordered[len(ordered) // 2]} tokens, longest {ordered[-1]}"
    if share <= TOO_LONG:
        return Finding("passed", "prompt lengths", f"{known}; {share:.1%} exceed GRPO_MAX_PROMPT_LENGTH={limit}")
    enough = ordered[min(len(ordered) - 1, int(KEPT * len(ordered)))]
    return Finding(
        "warned",
        "prompt lengths",
        f"{share:.1%} exceed GRPO_MAX_PROMPT_LENGTH={limit} and are left out; {known}: {enough} would keep {KEPT:.0%}",
    )


def _share(counts: Counts, reason: str) -> float:
    number: int = getattr(counts, reason)
    return number / max(1, counts.read)


def _answers(rows: Rows, settings: Settings) -> str | None:
    counts = rows.train_counts
    share = _share(counts, "unanswerable") + _share(counts, "empty")
    if share <= UNANSWERABLE:
        return None
    return (
        f"{counts.unanswerable} rows have no answer and {counts.empty} no question: "
        f"check GRPO_ANSWER_COLUMN={settings.answer_column} and GRPO_PROMPT_COLUMN={settings.prompt_column}"
    )


def _duplicates(rows: Rows, settings: Settings) -> str | None:
    if _share(rows.train_counts, "duplicate") <= DUPLICATE:
        return None
    return (
        f"{rows.train_counts.duplicate} of {rows.train_counts.read} questions are duplicates and were left out: "
        f"check GRPO_PROMPT_COLUMN={settings.prompt_column}"
    )


def _system(rows: Rows, settings: Settings) -> str | None:
    """A system prompt that asks for a format, and rows that bring another."""
    told = settings.system_prompt
    own = sum(not row["prompt"][0]["content"].startswith(told) for row in rows.train)
    if not own:
        return None
    return (
        f"{own} of {len(rows.train)} rows have a system message of their own, so that their prompts do not show "
        "GRPO_SYSTEM_PROMPT: take the message out of these rows, or write into it what the rewards ask for"
    )


def _few_rows(rows: Rows, settings: Settings) -> str | None:
    if _epochs(rows, settings) <= MOST_EPOCHS:
        return None
    by_epochs = settings.max_steps == -1
    name, now = ("NUM_TRAIN_EPOCHS", settings.num_train_epochs) if by_epochs else ("MAX_STEPS", settings.max_steps)
    return (
        f"{_epochs(rows, settings):.0f} epochs over {len(rows.train)} rows will overfit: "
        f"use more rows or a smaller GRPO_{name} (now {now:g})"
    )


def _none_fresh(rows: Rows, settings: Settings) -> str | None:
    """Every generation asks all rows already."""
    number, needed = len(rows.train), settings.prompts_per_generation
    if not settings.dynamic_sampling or number > needed:
        return None
    return (
        f"GRPO_DYNAMIC_SAMPLING={settings.dynamic_sampling} has no effect: each generation asks {needed} prompts, and "
        f"the {number} rows have no fresh ones: use more rows or a smaller GRPO_PER_DEVICE_TRAIN_BATCH_SIZE"
    )


def _unused_split(rows: Rows, settings: Settings) -> str | None:
    if not rows.unused_split:
        return None
    where = "GRPO_EVAL_DATASET" if settings.eval_dataset else "GRPO_DATASET"
    return (
        f"they are rows of a training split, but {where} has a split {rows.unused_split!r} too: "
        f"GRPO_EVAL_SPLIT={rows.unused_split} evaluates on it"
    )


def _overlap(rows: Rows, settings: Settings) -> str | None:
    counts = rows.held_out_counts
    if _share(counts, "in_training") <= OVERLAP:
        return None
    return (
        f"{counts.in_training} of {counts.read} held-out questions occur in training and were left out: "
        "use a separate split with GRPO_EVAL_SPLIT or GRPO_EVAL_DATASET"
    )


def _under_other_systems(rows: Rows, settings: Settings) -> str | None:
    """Questions that differ in the system message alone: a model may know their answers from training."""
    known = {(normalised(row["question"]), row["answer"]) for row in rows.train}
    number = sum((normalised(row["question"]), row["answer"]) in known for row in rows.held_out)
    if number <= OVERLAP * len(rows.held_out):
        return None
    return (
        f"{number} of {len(rows.held_out)} occur in training with the same answer under another system message: if the "
        "answer does not depend on that message, use a separate split with GRPO_EVAL_SPLIT or GRPO_EVAL_DATASET"
    )


def _few_held_out(rows: Rows, settings: Settings) -> str | None:
    number = len(rows.held_out)
    if number >= FEWEST_HELD_OUT:
        return None
    pins = f"{counted(number, 'held-out row')} {'pins' if number == 1 else 'pin'}"
    return (
        f"{pins} accuracy down only to ±{100 / number**0.5:.0f} points; "
        f"use at least {FEWEST_HELD_OUT} (GRPO_EVAL_ROWS, GRPO_EVAL_SPLIT or GRPO_EVAL_DATASET)"
    )


def _no_verdict_to_publish_by(rows: Rows, settings: Settings) -> str | None:
    if settings.publish_if != "improved" or len(rows.held_out) >= FEWEST_HELD_OUT:
        return None
    return (
        f"GRPO_PUBLISH_IF=improved would publish nothing: {len(rows.held_out)} held-out rows are too few for a "
        f"verdict; allowed: at least {FEWEST_HELD_OUT} (GRPO_EVAL_ROWS, GRPO_EVAL_SPLIT or GRPO_EVAL_DATASET), or "
        "another GRPO_PUBLISH_IF"
    )


def _epochs(rows: Rows, settings: Settings) -> float:
    if settings.max_steps == -1:
        return settings.num_train_epochs
    return settings.max_steps * settings.groups_per_step / settings.num_iterations / max(1, len(rows.train))


ROW_CHECKS = (_answers, *gold_answers.CHECKS, *unshown.CHECKS, _duplicates, _system, _few_rows, _none_fresh)
