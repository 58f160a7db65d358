"""How long the run will take and what it will cost: a formula over a few measured constants, an estimate.

Decoding a token reads all weights once, so it takes their size divided by the GPU's memory bandwidth, plus a constant
per layer and one per sequence. Training takes its arithmetic, or the launching of its kernels where that takes longer.
The constants are fitted to the runs of benchmarks/RESULTS.md (a test lists them): it is within 14 % of the steps
that ran as they run now. Elsewhere, and where completions end elsewhere, it may be off by a factor of 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

from grpo_job.monitoring import budget
from grpo_job.planner import gpus
from grpo_job.planner.plan import EVALUATION_SEQUENCES, Plan
from grpo_job.planner.shapes import ModelShape
from grpo_job.preflight.findings import Finding
from grpo_job.runtime.machine import GpuSeen
from grpo_job.settings.engines import needs
from grpo_job.settings.global_batch import steps_per_buffer
from grpo_job.settings.schema import Settings

OFF_BY = 2.0
# Of GRPO_MAX_COMPLETION_LENGTH: how long a batch is decoded and its padded rows are, because answers end early.
REACHED = 0.5

LAYER_SECONDS = 50e-6  # per token and layer, beyond reading the weights: launching kernels
SEQUENCE_SECONDS = 8e-6  # per token and sequence, beyond its arithmetic: sampling and scheduling
SLOWER_IN_4BIT = 4.0  # unpacking weights, and vLLM's LoRA kernels
ARITHMETIC_SHARE = 0.35  # of the data sheet's FLOP/s that is reached
LAUNCH_SECONDS = 8e-3  # per layer and micro-step, forward and backward; none where CUDA graphs are replayed
STEP_SECONDS = 0.05  # optimizer and logging
DOWNLOAD_BYTES = 100e6  # per second

CPU_TOKEN_SECONDS = 0.008
CPU_DECODE = 20e9
CPU_LEARN = 100e9
CPU_SEQUENCES = 100


@dataclass(frozen=True)
class Estimate:
    """Seconds until step 1 without the evaluation, of one evaluation, of one step and of all evaluations while
    training (`periodic`); and the number of steps."""

    start: float
    evaluation: float
    step: float
    steps: int
    periodic: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of the whole run, with the evaluations before and after."""
        return self.start + 2 * self.evaluation + self.steps * self.step + self.periodic


def of_run(
    settings: Settings,
    shape: ModelShape,
    engine: str,
    gpu: GpuSeen | None,
    plan: Plan | None,
    steps: int,
    *,
    reached: float = REACHED,
) -> Estimate:
    """The estimate before anything is measured; `gpu` and `plan` are None on a CPU.

    `reached`: share of GRPO_MAX_COMPLETION_LENGTH at which the longest completion of a batch ends.
    """
    length = settings.max_completion_length * reached
    rows = settings.completions_per_step * (settings.max_prompt_length / 2 + length)  # in tokens
    if gpu is None or plan is None:
        start, at_once = needs(engine, gpus=0).start_seconds, CPU_SEQUENCES
        learn = needs(engine, gpus=0).learn_flop * shape.parameters * rows / CPU_LEARN
    else:
        start = needs(engine, gpus=1).start_seconds + shape.weights(in_4bit=False) / DOWNLOAD_BYTES
        at_once = plan.max_num_seqs
        learn = _learn_seconds(shape, gpu, plan, needs(engine, gpus=1).learn_flop * shape.parameters * rows)

    def decode(sequences: int) -> float:
        """Seconds to decode so many completions, in waves of as many as are decoded at once."""
        wave = max(1, min(sequences, at_once))
        return -(-sequences // wave) * length * _token_seconds(shape, gpu, plan, wave)

    answers = settings.eval_rows * (1 + (settings.eval_samples if settings.eval_samples > 1 else 0))
    step = decode(settings.completions_per_generation) / steps_per_buffer(settings) + learn
    periodic = evaluations(settings, steps) * _evaluation(decode, settings.eval_steps_rows, at_once)
    return Estimate(start, _evaluation(decode, answers, at_once), step, steps, periodic)


def _evaluation(decode: Callable[[int], float], answers: int, at_once: int) -> float:
    """Seconds to answer so many rows, a batch of them after the other."""
    batch = min(EVALUATION_SEQUENCES, at_once)
    return answers / batch * decode(batch) if answers > batch else decode(answers)


def _token_seconds(shape: ModelShape, gpu: GpuSeen | None, plan: Plan | None, sequences: int) -> float:
    """Seconds until each of so many sequences has its next token."""
    if gpu is None or plan is None:
        return CPU_TOKEN_SECONDS + 2 * shape.parameters * sequences / CPU_DECODE
    known = gpus.speed(gpu.name)
    in_4bit = plan.load_in_4bit and not plan.dequantizes
    weights = shape.weights(in_4bit=in_4bit) / plan.tensor_parallel
    read = (SLOWER_IN_4BIT if in_4bit else 1.0) * (weights / (0.9 * known.bandwidth) + shape.layers * LAYER_SECONDS)
    return read + sequences * (2 * shape.parameters / (ARITHMETIC_SHARE * known.arithmetic) + SEQUENCE_SECONDS)


def _learn_seconds(shape: ModelShape, gpu: GpuSeen, plan: Plan, flop: float) -> float:
    arithmetic = flop * (1.5 if plan.gradient_checkpointing else 1.0)
    launching = 0.0 if plan.training_graphs else plan.micro_steps * shape.layers * LAUNCH_SECONDS
    return max(arithmetic / (ARITHMETIC_SHARE * gpus.speed(gpu.name).arithmetic), launching) + STEP_SECONDS


def evaluations(settings: Settings, steps: int) -> int:
    """How many evaluations `steps` of training have."""
    return -(-steps // settings.eval_steps) if settings.eval_steps else 0


def findings(estimate: Estimate, settings: Settings) -> list[Finding]:
    """Time and cost, and whether the budget leaves time for a first checkpoint."""
    price = settings.price_per_hour
    cost = "" if price is None else f", about {estimate.total / 3600 * price:.2f} US dollars"
    told = (
        f"estimate: about {told_time(estimate.total)}{cost} (could be off by 2x): start {told_time(estimate.start)}, "
        f"{estimate.steps} steps of {estimate.step:.1f} s, two evaluations of {told_time(estimate.evaluation)} each"
        f"{_resampled(settings)}"
    )
    found = [Finding("passed", "time and cost", told)]
    limit = budget.limit_seconds(settings)
    if limit is None:
        return found
    variable, least = budget.limiting_variable(settings), estimate.total - (estimate.steps - 1) * estimate.step
    if least / OFF_BY > limit:
        said = (
            f"{variable}: the limit is {told_time(limit)}; loading, evaluating, training one step and saving are "
            f"estimated to take {told_time(least)}: raise the limit, or set a smaller GRPO_EVAL_ROWS"
        )
        return [*found, Finding("failed", "budget", said)]
    if estimate.total > limit:
        said = f"{variable} allows {told_time(limit)}, which will probably end the run before its last step"
        return [*found, Finding("warned", "budget", f"{said}: raise the limit, or set a smaller GRPO_MAX_STEPS")]
    return [*found, Finding("passed", "budget", f"{variable} allows {told_time(limit)}, enough for this estimate")]


def _resampled(settings: Settings) -> str:
    rounds, usual = settings.dynamic_sampling, settings.completions_per_generation
    if not rounds:
        return ""
    return f"; GRPO_DYNAMIC_SAMPLING={rounds} generates up to {(1 + rounds) * usual} completions instead of {usual}"


def told_time(seconds: float) -> str:
    """`95.0` as `1.6 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
