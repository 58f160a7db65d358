"""The answers before training that an earlier attempt graded: used again if they are of this run, and undamaged."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job.evaluation import verdict
from grpo_job.evaluation.measure import Measure
from grpo_job.inputs.chat_template import Chat
from grpo_job.phases.attempt import Attempt
from grpo_job.run_folder import identity, shapes
from grpo_job.run_folder.files import Damaged, read_json, read_jsonl


def of_base(
    attempt: Attempt, rows: Sequence[dict[str, Any]], measure: Measure, chat: Chat
) -> list[dict[str, Any]] | None:
    """The records of an earlier attempt; None if there are none as it wrote them, by what this one starts from."""
    if not _are_of_this_run(attempt):
        return None
    path = attempt.folder.before
    try:
        known = _records_of(path, rows, attempt.settings.eval_samples, measure, chat)
        if known is None or attempt.wrote(path):
            return known
        raise Damaged(path, "it has other content than was saved")
    except Damaged as damage:
        attempt.progress.warn(f"{damage.sentence}: the {attempt.settings.beginning} is evaluated again")
        return None


def origin_of(attempt: Attempt) -> str:
    """A digest of what gives and grades the answers of this attempt: what it starts from, and all that it shares."""
    found = read_json(attempt.folder.environment)
    shared = {**identity.identity(attempt.settings), **{name: found.get(name) for name in ("model", "start_adapter")}}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()


def _records_of(
    path: Path, rows: Sequence[dict[str, Any]], samples: int, measure: Measure, chat: Chat
) -> list[dict[str, Any]] | None:
    """The records in `path` if they answer just these rows in just this way, and hold what is measured."""
    there = read_jsonl(path, shapes.Answered)
    needed = {name for name, _ in measure.weights}
    if not all("answer" in record and needed <= record.get("rewards", {}).keys() for record in there):
        return None
    drawn = {len(record.get("samples", ())) for record in there}
    asked = [(row["question"], row["answer"], chat.render(row["prompt"])) for row in rows]
    same = verdict.asked(there) == asked and drawn == {samples if samples > 1 else 0}
    return there if same else None


def _are_of_this_run(attempt: Attempt) -> bool:
    """Whether the answers before training were given by what this attempt starts from; from now on they are."""
    of = origin_of(attempt)
    known = attempt.summary.values.get("before_of", of)
    if known != of:
        attempt.folder.before.unlink(missing_ok=True)
    attempt.summary.update(before_of=of)
    attempt.summary.write()
    return bool(known == of)
