"""What `grpo-job check` shows of rows and rewards: the first row; with `--rewards` eight, and sampled completions."""

from pathlib import Path
from typing import Any, NamedTuple

from grpo_job import engines
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.library_log import libraries_write_to
from grpo_job.outcomes import RunEnded
from grpo_job.phases import probe
from grpo_job.preflight import Checked, Examined, paid
from grpo_job.preflight.paid import FirstRow, Paid
from grpo_job.preflight.rewards import ROWS
from grpo_job.rewards import as_trl_functions
from grpo_job.run_folder import scratch
from grpo_job.settings.schema import Settings


class Shown(NamedTuple):
    """What is paid: for the first row, and if asked for, for the golds of some rows and for sampled completions.

    `missing` says why there are no sampled completions.
    """

    first: FirstRow | None
    golds: list[Paid]
    sampled: list[Paid]
    missing: str

    def lines(self) -> list[str]:
        lines = self.first.lines() if self.first else []
        if self.golds:
            lines += paid.lines(f"what each reward pays for the golds of {len(self.golds)} rows:", self.golds)
            lines += paid.lines(f"and for sampled completions{self.missing}:", self.sampled)
        return lines

    def as_dict(self) -> dict[str, Any]:
        first = {"prompt": self.first.prompt, **self.first.paid._asdict()} if self.first else None
        golds, sampled = ([one._asdict() for one in each] for each in (self.golds, self.sampled))
        return {"first_row": first, "golds": golds, "sampled": sampled}


NOTHING = Shown(None, [], [], "")


def show(examined: Examined, settings: Settings, *, rewards: bool) -> Shown:
    """Nothing where a check of rows, rewards or tokenizer failed: its finding is told already."""
    chosen, rows, chat = examined.chosen, examined.rows, examined.chat
    if not (chosen and rows and chat):
        return NOTHING
    try:
        first = paid.first_row(chosen, rows.train, chat, settings)
        if not rewards:
            return NOTHING._replace(first=first)
        golds = paid.for_golds(chosen, rows.train[:ROWS], settings, chat.completion_ids)
        missing = _why_no_model(examined.checked, settings)
        sampled = [] if missing or examined.checked is None else _sampled(examined.checked, settings)
        return Shown(first, golds, sampled, missing)
    except RunEnded:
        return NOTHING


def _why_no_model(checked: Checked | None, settings: Settings) -> str:
    if checked is None:
        return " (none: the model cannot be loaded here)"
    return "" if _is_here(settings) else f" (none: {settings.model} is not on this machine)"


def _is_here(settings: Settings) -> bool:
    return settings.model == "sample" or Path(settings.model).expanduser().is_dir()


def _sampled(checked: Checked, settings: Settings) -> list[Paid]:
    """One completion of what training starts from for each of the first rows, sampled as training does."""
    rows = checked.rows.train[:ROWS]
    with scratch.temporary("check") as folder, libraries_write_to(folder / "libraries.log"):
        functions = as_trl_functions(checked.rewards, settings.reward_timeout_seconds)
        start, rows_of_run = checked.start.lora.weights if checked.start else None, checked.rows.train
        engine = engines.build(
            checked.engine, settings, checked.base, rows_of_run, functions, folder, checked.plan, start=start
        )
        answers = engine.generate(
            [row["prompt"] for row in rows],
            adapter=settings.before,
            max_tokens=settings.max_completion_length,
            temperature=settings.temperature,
            seed=probe.SEED,
        )
        engine.close()
    return paid.for_completions(
        checked.rewards,
        rows,
        [drawn[0].said for drawn in answers],
        settings,
        Chat(checked.base.folder, settings).completion_ids,
    )
