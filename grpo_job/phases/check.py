"""Run the checks, fetch the base model, and record what the result depends on."""

from collections.abc import Sequence
from typing import Any

from grpo_job import preflight
from grpo_job.evaluation import drawing
from grpo_job.inputs import base_model
from grpo_job.inputs.chat_template import Chat
from grpo_job.phases import oom_replan
from grpo_job.phases.attempt import Attempt
from grpo_job.preflight import Checked
from grpo_job.rewards.judgements import JUDGEMENTS
from grpo_job.run_folder.files import write_json
from grpo_job.runtime import machine

SAID = ("rows", "held-out rows", "rows to choose by")  # of the checks that passed, what the log has


def check(attempt: Attempt) -> Checked:
    """The findings, with the base model as a local folder. Raises `InvalidRun` with every fault."""
    settings, phase = attempt.settings, attempt.progress.phase
    with phase("check", f"run {settings.name_of_run()}: checking"):
        JUDGEMENTS.keep_in(attempt.folder.judged)
        checked = preflight.check(
            settings, attempt.environment, oom_replan.memory_limit(attempt.folder), attempt.rows, attempt.start
        )
        attempt.start = checked.start
        for finding in checked.findings:
            if finding.status == "warned":
                attempt.progress.warn(finding.sentence)
            elif finding.name in SAID:
                attempt.progress.say(finding.sentence)
    with phase("download", f"fetching {settings.model}"):
        base = base_model.fetch(settings.model, checked.base.commit or settings.model_revision)
    checked = checked._replace(base=base)
    _write_environment(attempt, checked)
    return checked


def _drawn(rows: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Which rows were drawn: two runs with the same digest were evaluated on the same ones."""
    return {"rows": len(rows), "seed": seed, "sha256": drawing.digest(rows)}


def _write_environment(attempt: Attempt, checked: Checked) -> None:
    """What the result depends on besides the settings."""
    write_json(
        attempt.folder.environment,
        {
            **machine.describe(checked.gpus),
            "engine": checked.engine,
            "plan": checked.plan.as_dict() if checked.plan else None,
            "backed_off": oom_replan.trials(attempt.folder),
            "model": {
                "name": checked.base.name,
                "commit": checked.base.commit,
                "takes_system": Chat(checked.base.folder, attempt.settings).takes_system(),
            },
            "start_adapter": {"name": attempt.start.name, "sha256": attempt.start.sha256} if attempt.start else None,
            "dataset": {
                "name": attempt.settings.dataset,
                "commit": checked.rows.revision,
                "training_rows": checked.rows.digest,
                "train": vars(checked.rows.train_counts),
                "held_out": vars(checked.rows.held_out_counts),
                "evaluated": _drawn(checked.rows.held_out, attempt.settings.seed),
                "chosen_by": _drawn(checked.choosing, attempt.settings.seed) if checked.choosing else None,
            },
        },
    )
