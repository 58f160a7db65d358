"""How long the run will take and what it will cost: a formula over a few measured constants, an estimate.

Decoding a token reads all weights once, so it takes their size divided by the GPU's memory bandwidth, plus
a constant per layer; training takes its arithmetic plus a constant. The constants are fitted to runs of a
3B model on an H200 and of the sample on two CPU cores; elsewhere the estimate may be off by a factor of 2.
"""

from dataclasses import dataclass

from grpo_job.monitoring import budget
from grpo_job.planner.plan import EVALUATION_SEQUENCES, Plan
from grpo_job.planner.shapes import ModelShape
from grpo_job.preflight.findings import Finding
from grpo_job.runtime.machine import GpuSeen
from grpo_job.settings.engines import needs
from grpo_job.settings.schema import Settings

OFF_BY = 2.0

# Memory bandwidth and dense 16-bit FLOP/s from data sheets, by part of the name; the first match counts.
GPUS: dict[str, tuple[float, float]] = {
    "B200": (8.0e12, 2250e12), "H200": (4.8e12, 990e12), "H100": (3.35e12, 990e12), "A100": (1.9e12, 312e12),
    "L40": (0.86e12, 362e12), "A10": (0.6e12, 125e12), "L4": (0.3e12, 121e12), "T4": (0.32e12, 65e12),
    "4090": (1.0e12, 165e12), "5090": (1.8e12, 210e12),
}  # fmt: skip
UNKNOWN_GPU = (1.0e12, 150e12)
LAYER_SECONDS = 50e-6  # per token and layer, beyond reading the weights: launching kernels
SLOWER_IN_4BIT = 2.5  # unpacking weights, and vLLM's LoRA kernels
ARITHMETIC_SHARE = 0.35  # of the data sheet's FLOP/s that training reaches
LEARN_SECONDS = 0.4  # per step, beyond its arithmetic
DOWNLOAD_BYTES = 100e6  # per second

CPU_TOKEN_SECONDS = 0.004
CPU_DECODE = 20e9
CPU_LEARN = 100e9


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
    settings: Settings, shape: ModelShape, engine: str, gpu: GpuSeen | None, plan: Plan | None, steps: int
) -> Estimate:
    """The estimate before anything is measured; `gpu` and `plan` are None on a CPU."""
    completions = settings.completions_per_step
    tokens = completions * (settings.max_prompt_length / 2 + settings.max_completion_length)
    if gpu is None or plan is None:
        decode = CPU_TOKEN_SECONDS + 2 * shape.parameters * completions / CPU_DECODE
        learn = 6 * shape.parameters * tokens / CPU_LEARN
        start, at_once = needs(engine, gpus=0).start_seconds, 100
    else:
        bandwidth, arithmetic = next((known for part, known in GPUS.items() if part in gpu.name), UNKNOWN_GPU)
        slower = SLOWER_IN_4BIT if plan.load_in_4bit else 1.0
        decode = slower * (shape.weights(in_4bit=plan.load_in_4bit) / (0.9 * bandwidth) + shape.layers * LAYER_SECONDS)
        learn = LEARN_SECONDS + 8 * shape.parameters * tokens / (ARITHMETIC_SHARE * arithmetic)
        download = shape.weights(in_4bit=False) / DOWNLOAD_BYTES
        start = needs(engine, gpus=1).start_seconds + download
        at_once = min(EVALUATION_SEQUENCES, plan.max_num_seqs)
        decode *= max(1, -(-completions // plan.max_num_seqs))
    batch = settings.max_completion_length * decode  # seconds
    answers = settings.eval_rows * (1 + (settings.eval_samples if settings.eval_samples > 1 else 0))
    periodic = evaluations(settings, steps) * -(-settings.eval_steps_rows // at_once) * batch
    return Estimate(start, -(-answers // at_once) * batch, batch + learn, steps, periodic)


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
