"""After running out of memory, restarts the process with a smaller plan.

PyTorch and vLLM free their memory only when the process ends. Each trial lowers the memory limit, so the planner
chooses smaller micro-batches, recomputation, standby or fewer concurrent sequences; completions per step and the
precision of the base do not change. The trials are in the run folder, so a resumed attempt does not run out again.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from grpo_job.outcomes import RESTART, InvalidRun, Outcome, RunEnded, Unexpected
from grpo_job.phases.attempt import Attempt
from grpo_job.planner import choose
from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import GB
from grpo_job.planner.wishes import MemoryLimit
from grpo_job.preflight import Checked
from grpo_job.preflight.gpu import used_by_others
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import Damaged, read_json, write_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.runtime.resource_errors import memory_trouble

logger = logging.getLogger(__name__)
MOST_TRIALS = 3
# Share of the failed plan's memory; the later ones are for when no plan is as small as the first allows.
SHRINK = (0.8, 0.9, 0.97)
CURES = (
    "a smaller GRPO_MAX_COMPLETION_LENGTH, GRPO_MAX_PROMPT_LENGTH or GRPO_PER_DEVICE_TRAIN_BATCH_SIZE (with more "
    "GRPO_GRADIENT_ACCUMULATION_STEPS), a smaller model, or a machine with more memory"
)


class RestartProcess(RunEnded):
    """Continue the same run in a restarted process."""

    kind = RESTART


def trials(folder: RunFolder) -> list[dict[str, Any]]:
    """The trials, oldest first: the error, the GPU, and the memory limit of the next plan.

    If their file is damaged, those that the summary lists: without them a resumed run had another plan.
    """
    try:
        found: list[dict[str, Any]] = read_json(folder.memory, shapes.Memory).get("trials", [])
    except Damaged as damage:
        logger.warning("%s: the plans of %s are used", damage.sentence, folder.summary)
        found = read_json(folder.summary, shapes.Summary).get("backed_off", [])
    return found


def memory_limit(folder: RunFolder) -> MemoryLimit | None:
    """The memory limit after the last trial; None if memory never ran out."""
    last = trials(folder)[-1:]
    return MemoryLimit(last[0]["gpu"], last[0]["bytes"], last[0]["load_in_4bit"]) if last else None


@contextmanager
def replan_on_oom(attempt: Attempt, checked: Checked) -> Iterator[None]:
    """Turns running out of memory into `RestartProcess`, or into an outcome with numbers and fixes."""
    attempt.answer_to_lost = lambda lost: _answer_to_lost(lost, attempt, checked)
    try:
        yield
    except Exception as error:
        trouble = memory_trouble(error)
        if trouble is None or isinstance(error, RunEnded) or attempt.interruption.asked:
            raise
        raise _answer(trouble, attempt, checked) from error


def _answer_to_lost(lost: Outcome, attempt: Attempt, checked: Checked) -> Outcome:
    """Memory may have run out on another rank."""
    trouble = memory_trouble(RuntimeError(lost.reason))
    return _answer(trouble, attempt, checked).outcome() if trouble else lost


def _answer(trouble: str, attempt: Attempt, checked: Checked) -> RunEnded:
    done = attempt.summary.values["steps"]["done"]
    message = f"memory ran out {f'after step {done}' if done else 'before step 1 was done'} ({trouble})"
    if others := [found for found in map(used_by_others, checked.gpus) if found]:
        message += f"; at the check of this attempt {'; '.join(others)}"
    if checked.plan is None:
        return _ending(done, f"{message}; change: {CURES}")
    earlier = trials(attempt.folder)
    if len(earlier) >= MOST_TRIALS:
        return _ending(done, "\n".join([f"{message}, despite {len(earlier)} smaller plans", *_numbers(checked.plan)]))
    try:
        limit, again = _smaller(attempt, checked, checked.plan)
    except InvalidRun as refusal:
        return _ending(
            done, "\n".join([f"{message}, and no smaller plan is left", *_numbers(checked.plan), str(refusal)])
        )
    trial = {"after_step": done, "error": trouble, **asdict(limit), "plan": _choices(again)}
    write_json(attempt.folder.memory, {"trials": [*earlier, trial]})
    attempt.summary.update(backed_off=[*earlier, trial])
    return RestartProcess(f"{message}: restarting with a smaller plan ({again.memory.total / GB:.1f} GB)")


def _smaller(attempt: Attempt, checked: Checked, failed: Plan) -> tuple[MemoryLimit, Plan]:
    """A clearly smaller plan and its limit. Raises `InvalidRun` if there is none.

    After a step it is one of the same engine, with which alone the checkpoints can be resumed.
    """
    settings, done = attempt.settings, attempt.summary.values["steps"]["done"]
    if done:
        settings = settings.model_copy(update={"engine": checked.engine})
    for share in SHRINK:
        limit = MemoryLimit(checked.gpus[0].name, share * failed.memory.total, failed.load_in_4bit)
        try:
            config = checked.base.config()
            return limit, choose.plan(settings, config, checked.gpus[0], limit, checked.layout)
        except InvalidRun as refusal:
            refused = refusal
    raise refused


def _ending(done: int, sentence: str) -> RunEnded:
    """A run that never finished a step will not do so on the same machine; one that did may succeed on a retry."""
    return Unexpected(sentence) if done else InvalidRun(sentence)


def _numbers(plan: Plan) -> list[str]:
    return ["the plan was:", *plan.lines(), f"change: {CURES}"]


def _choices(plan: Plan) -> Mapping[str, Any]:
    names = ("micro_batch_size", "gradient_checkpointing", "standby", "weight_sync", "max_num_seqs")
    return {name: getattr(plan, name) for name in names}
