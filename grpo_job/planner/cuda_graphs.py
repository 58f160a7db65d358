"""Whether forward and backward are replayed from CUDA graphs; see `training_graphs`. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import Auto, Candidate, micro_batches
from grpo_job.planner.memory import Memory, Sizes, estimate
from grpo_job.planner.reasons import Choice
from grpo_job.planner.shapes import GB

# Seconds that capturing takes per run, and that replaying saves per micro-step (3B with 4 completions on an H200).
CAPTURE_SECONDS = 2.0
SAVED_SECONDS = 0.17
# What a further micro-step costs beside its replayed layers: the rest of the loss and its metrics. An estimate.
FURTHER_SECONDS = 0.04
# Tokens in a micro-batch times weights of a layer, above which the GPU, not the launching of kernels, limits the speed.
# Measured with a 3B model, whose layers have 77e6 weights: 8192 tokens. Derived for others: a layer has as many kernels
# whatever its size, and the GPU's time for them grows with this product.
MOST_WORK = 8192 * 77e6
# Activations of the next shorter length, as a share of those of the longest rows.
SHORTER = 7 / 8


def plan_replay(
    chosen: Candidate, sizes: Sizes, budget: float, wished: bool | Auto, separate_base: int
) -> tuple[Candidate, Choice]:
    """The choice, and the candidate that it holds for: of a smaller micro-batch if there is room for only its graphs.

    `wished` is the setting, `separate_base` that of `planner.plan.plan`. Raises `InvalidRun` if the setting asks for
    graphs that cannot be captured.
    """
    if wished is False:
        return chosen, Choice("training_graphs", False, "", given=True)
    against = _obstacle(chosen, sizes, separate_base)
    if wished == "auto":
        against = against or _not_worth_it(chosen, sizes)
    if not against:
        estimates = [(one, replayed(estimate(one, sizes))) for one in _worth_splitting(chosen, sizes)]
        if fitting := next((one for one, memory in estimates if memory.total <= budget), None):
            reason = "launching the kernels of forward and backward takes longer than running them"
            return fitting, Choice("training_graphs", True, reason, given=wished is True)
        against = f"there is no room for another {estimates[0][1].replay / GB:.1f} GB"
    if wished is True:
        raise InvalidRun(f"GRPO_TRAINING_GRAPHS: true was given, but {against}; allowed here: auto, false")
    return chosen, Choice("training_graphs", False, against)


def replayed(memory: Memory) -> Memory:
    """The estimate, with the memory that capturing needs in addition."""
    return replace(memory, replay=SHORTER * memory.activations)


def _worth_splitting(chosen: Candidate, sizes: Sizes) -> Iterator[Candidate]:
    """The candidate, then with smaller micro-batches while more of them cost less than replaying saves."""
    completions = sizes.work.completions
    steps = completions // chosen.micro_batch
    saved = steps * SAVED_SECONDS * (1 - _work_of_a_layer(chosen, sizes) / MOST_WORK)
    for size in micro_batches(sizes.work):
        further = completions // size - steps
        if size == chosen.micro_batch or 0 < further * FURTHER_SECONDS < saved:
            yield replace(chosen, micro_batch=size)


def _work_of_a_layer(chosen: Candidate, sizes: Sizes) -> float:
    return chosen.micro_batch * sizes.work.row_tokens * sizes.model.linear_parameters / sizes.model.layers


def _obstacle(chosen: Candidate, sizes: Sizes, separate_base: int) -> str | None:
    """Why graphs cannot be captured: they need weights at fixed addresses, one mask, and no work on the host."""
    if separate_base:
        return "this engine captures no CUDA graphs"
    if sizes.model.layers_differ:
        return "its layers have different attention masks"
    if chosen.weight_sync != "copy" or chosen.in_4bit:
        return "training has no 16-bit weights of its own"
    if chosen.recompute:
        return "recomputation cannot be captured"
    if sizes.gpu.dtype != "bfloat16":
        return "fp16 needs the host to scale the loss"
    return None


def _not_worth_it(chosen: Candidate, sizes: Sizes) -> str | None:
    work = sizes.work
    if _work_of_a_layer(chosen, sizes) > MOST_WORK:
        return f"a micro-batch of {chosen.micro_batch * work.row_tokens} tokens keeps the GPU busy"
    if work.max_steps * SAVED_SECONDS <= CAPTURE_SECONDS:
        return f"{work.max_steps} steps do not make up for {CAPTURE_SECONDS:.0f} s of capturing"
    return None
