"""Whether forward and backward are replayed from CUDA graphs; see `training_graphs`. Pure."""

from dataclasses import replace

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import Auto, Candidate, Work
from grpo_job.planner.memory import Memory
from grpo_job.planner.reasons import Choice
from grpo_job.planner.shapes import GB, Gpu, ModelShape

# Seconds that capturing takes per run, and that replaying saves per step (3B with 4 completions on an H200).
CAPTURE_SECONDS = 2.0
SAVED_SECONDS = 0.17
# Tokens in a micro-batch above which the GPU, not the launching of kernels, limits the speed.
MOST_TOKENS = 8192
# Activations of the next shorter length, as a share of those of the longest rows.
SHORTER = 7 / 8


def plan_replay(
    chosen: Candidate,
    gpu: Gpu,
    model: ModelShape,
    work: Work,
    memory: Memory,
    budget: float,
    wished: bool | Auto,
    separate_base: int,
) -> Choice:
    """`wished` is the setting, `separate_base` that of `planner.plan.plan`.

    Raises `InvalidRun` if the setting asks for graphs that cannot be captured.
    """
    if separate_base:
        obstacle: str | None = "this engine captures no CUDA graphs"
    else:
        obstacle = _masks(model) or _obstacle(chosen, gpu, memory, budget)
    if wished == "auto":
        against = obstacle or _not_worth_it(chosen, work)
        reason = against or "launching the kernels of forward and backward takes longer than running them"
        return Choice("training_graphs", not against, reason)
    if wished and obstacle:
        raise InvalidRun(f"GRPO_TRAINING_GRAPHS: true was given, but {obstacle}; allowed here: auto, false")
    return Choice("training_graphs", wished, "", given=True)


def replayed(memory: Memory) -> Memory:
    """The estimate, with the memory that capturing needs in addition."""
    return replace(memory, replay=SHORTER * memory.activations)


def _masks(model: ModelShape) -> str | None:
    """Graphs run all layers with one causal mask."""
    return "its layers have different attention masks" if model.layers_differ else None


def _obstacle(chosen: Candidate, gpu: Gpu, memory: Memory, budget: float) -> str | None:
    """Why graphs cannot be captured: they need weights at fixed addresses, and no work on the host."""
    if chosen.weight_sync != "copy" or chosen.in_4bit:
        return "training has no 16-bit weights of its own"
    if chosen.recompute:
        return "recomputation cannot be captured"
    if gpu.dtype != "bfloat16":
        return "fp16 needs the host to scale the loss"
    if replayed(memory).total > budget:
        return f"there is no room for another {replayed(memory).replay / GB:.1f} GB"
    return None


def _not_worth_it(chosen: Candidate, work: Work) -> str | None:
    tokens = chosen.micro_batch * work.row_tokens
    if tokens > MOST_TOKENS:
        return f"a micro-batch of {tokens} tokens keeps the GPU busy"
    if work.max_steps * SAVED_SECONDS <= CAPTURE_SECONDS:
        return f"{work.max_steps} steps do not make up for {CAPTURE_SECONDS:.0f} s of capturing"
    return None
