"""Memory ran out, so the run is planned again with less, in a process started anew.

PyTorch and vLLM give memory back only with their process. What the plan may take shrinks with each
trial, so the planner chooses smaller micro-batches, recomputation, standby or fewer sequences at once;
the completions that a step learns from stay the same, and so does the precision of the base. The trials
stand in the run folder, so an attempt that resumes there does not run out again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from grpo_job.outcomes import RESTART, InvalidRun, Outcome, RunEnded, Unexpected
from grpo_job.phases.attempt import Attempt
from grpo_job.planner import choose
from grpo_job.planner.plan import MemoryLimit, Plan
from grpo_job.planner.shapes import GB
from grpo_job.preflight import Checked
from grpo_job.run_folder.files import read_json, write_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.runtime.resource_errors import memory_trouble

MOST_TRIALS = 3
# Of what the plan that failed was thought to take; the later ones where no plan is as small as the first asks for.
SHRINK = (0.8, 0.9, 0.97)
CURES = (
    "a smaller GRPO_MAX_COMPLETION_LENGTH, GRPO_MAX_PROMPT_LENGTH or GRPO_PER_DEVICE_TRAIN_BATCH_SIZE (with more "
    "GRPO_GRADIENT_ACCUMULATION_STEPS), a smaller model, or a machine with more memory"
)


class RestartProcess(RunEnded):
    """The same run goes on, in a process started anew."""

    kind = RESTART


def trials(folder: RunFolder) -> list[dict[str, Any]]:
    """What was tried, oldest first: the error, the GPU, and the memory that the next plan may take."""
    found: list[dict[str, Any]] = read_json(folder.memory).get("trials", [])
    return found


def memory_limit(folder: RunFolder) -> MemoryLimit | None:
    """What a plan may take at most, after what was tried; None where memory never ran out."""
    last = trials(folder)[-1:]
    return MemoryLimit(last[0]["gpu"], last[0]["bytes"], last[0]["load_in_4bit"]) if last else None


@contextmanager
def replan_on_oom(attempt: Attempt, checked: Checked) -> Iterator[None]:
    """Within: running out of memory becomes `RestartProcess`, or an outcome with numbers and cures."""
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
    told = f"memory ran out {f'after step {done}' if done else 'before step 1 was done'} ({trouble})"
    if checked.plan is None:
        return _ending(done, f"{told}; change: {CURES}")
    earlier = trials(attempt.folder)
    if len(earlier) >= MOST_TRIALS:
        return _ending(done, "\n".join([f"{told}, in spite of {len(earlier)} smaller plans", *_numbers(checked.plan)]))
    try:
        limit, again = _smaller(attempt, checked, checked.plan)
    except InvalidRun as refusal:
        return _ending(done, "\n".join([f"{told}, and no smaller plan is left", *_numbers(checked.plan), str(refusal)]))
    trial = {"after_step": done, "error": trouble, **limit.as_dict(), "plan": _choices(again)}
    write_json(attempt.folder.memory, {"trials": [*earlier, trial]})
    attempt.summary.update(backed_off=[*earlier, trial])
    return RestartProcess(f"{told}: starting anew with a plan of {again.memory.total / GB:.1f} GB")


def _smaller(attempt: Attempt, checked: Checked, failed: Plan) -> tuple[MemoryLimit, Plan]:
    """A plan that takes clearly less, and its limit. Raises `InvalidRun` where there is none."""
    for share in SHRINK:
        limit = MemoryLimit(checked.gpus[0].name, share * failed.memory.total, failed.load_in_4bit)
        try:
            config = checked.base.config()
            return limit, choose.plan(attempt.settings, config, checked.gpus[0], limit, checked.layout)
        except InvalidRun as refusal:
            refused = refusal
    raise refused


def _ending(done: int, sentence: str) -> RunEnded:
    """A run that never did a step will not do one on the same machine; one that did may have had bad luck."""
    return Unexpected(sentence) if done else InvalidRun(sentence)


def _numbers(plan: Plan) -> list[str]:
    return ["the plan was:", *plan.lines(), f"change: {CURES}"]


def _choices(plan: Plan) -> Mapping[str, Any]:
    names = ("micro_batch_size", "gradient_checkpointing", "standby", "weight_sync", "max_num_seqs")
    return {name: getattr(plan, name) for name in names}
