"""Whether the training side is replayed from CUDA graphs; see `training_graphs`. Pure."""

from dataclasses import replace

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import Auto, Candidate, Work
from grpo_job.planner.memory import Memory
from grpo_job.planner.reasons import Choice
from grpo_job.planner.shapes import GB, Gpu

# What capturing takes over a run, and what replaying saves a step (3B with 4 completions on an H200).
CAPTURE_SECONDS = 2.0
SAVED_SECONDS = 0.17
# Tokens of a micro-batch beyond which the GPU is slower than the host that launches its kernels.
MOST_TOKENS = 8192
# Of the longest rows' activations, those of the next shorter length.
SHORTER = 7 / 8


def plan_replay(
    chosen: Candidate, gpu: Gpu, work: Work, memory: Memory, budget: float, wished: bool | Auto, separate_base: int
) -> Choice:
    """`wished` as the settings say it, `separate_base` as `gpu_plan.plan` has it.

    Raises `InvalidRun` where they ask for what cannot be.
    """
    obstacle = "TRL's own engine captures none" if separate_base else _obstacle(chosen, gpu, memory, budget)
    if wished == "auto":
        against = obstacle or _not_worth_it(chosen, work)
        reason = against or "launching the kernels of forward and backward takes longer than running them"
        return Choice("training_graphs", not against, reason)
    if wished and obstacle:
        raise InvalidRun(f"GRPO_TRAINING_GRAPHS: true was given, but {obstacle}; allowed here: auto, false")
    return Choice("training_graphs", wished, "", given=True)


def replayed(memory: Memory) -> Memory:
    """The estimate, with what capturing takes beside training."""
    return replace(memory, replay=SHORTER * memory.activations)


def _obstacle(chosen: Candidate, gpu: Gpu, memory: Memory, budget: float) -> str | None:
    """What keeps graphs from being captured: they read weights where they were, and leave nothing to the host."""
    if chosen.weight_sync != "copy":
        return "training has no 16-bit weights of its own"
    if chosen.recompute:
        return "recomputation cannot be captured"
    if gpu.dtype != "bfloat16":
        return "fp16 needs the host to scale the loss"
    if replayed(memory).total > budget:
        return f"there is no room for {replayed(memory).replay / GB:.1f} GB more"
    return None


def _not_worth_it(chosen: Candidate, work: Work) -> str | None:
    tokens = chosen.micro_batch * work.row_tokens
    if tokens > MOST_TOKENS:
        return f"a micro-batch of {tokens} tokens keeps the GPU busy"
    if work.max_steps * SAVED_SECONDS <= CAPTURE_SECONDS:
        return f"{work.max_steps} steps do not repay {CAPTURE_SECONDS:.0f} s of capturing"
    return None
