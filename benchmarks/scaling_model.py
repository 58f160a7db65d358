"""A model, not a measurement: what a step would take on more GPUs than were measured.

    python benchmarks/scaling_model.py ONE_GPU_FEWER.json ONE_GPU_MORE.json TWO_GPUS.json

From two runs on one GPU (such as 64 and 128 completions) comes the time of a step on one GPU, a fixed part and a part
for each completion. To it is added what other GPUs cost:

- the all-reduce of the LoRA's fp32 gradients, as a ring: 2 (N - 1) / N of their bytes at the bandwidth of the slowest
  link, and 2 (N - 1) latencies;
- waiting for the rank with the longest answer: lengths are taken as exponential, so that the longest of n has H(n)
  times the mean, cut at the longest allowed; generation lasts as long as it;
- handing the folded weights to vLLM costs nothing more: each GPU folds into its own;
- what two GPUs take beyond all this (gathers, the host's share) grows with the logarithm of their number.

Left out: slower machines among equal ones, and what rank 0 alone writes.
"""

import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

LORA_BYTES = 4 * 14_966_784  # rank 8 on the seven projections of the 3B shape
GPUS_OF_A_NODE = 8
# Bytes a second and seconds a hop: NVLink of an H200 in one direction, InfiniBand NDR of 400 Gbit/s.
NVLINK, NETWORK = (450e9, 5e-6), (50e9, 20e-6)
MEAN_LENGTH, LONGEST = 130.0, 200.0  # of a trained model on GSM8K


@dataclass(frozen=True)
class Step:
    """Seconds of a step on one GPU: `fixed`, and `each` for a completion; `generation` is the share that decodes.

    `together`: seconds that two GPUs take beyond the formulas.
    """

    fixed: float
    each: float
    generation: float
    together: float = 0.0

    def alone(self, completions: float) -> float:
        return self.fixed + self.each * completions


def fitted(fewer: tuple[int, float], more: tuple[int, float], generation: float) -> Step:
    """The line through two points of completions and seconds.

    >>> fitted((64, 2.0), (128, 3.0), 0.5)
    Step(fixed=1.0, each=0.015625, generation=0.5, together=0.0)
    """
    each = (more[1] - fewer[1]) / (more[0] - fewer[0])
    return Step(fewer[1] - each * fewer[0], each, generation)


def seconds(step: Step, gpus: int, completions: int) -> float:
    """A step of so many completions on all GPUs together."""
    alone = step.alone(completions / gpus)
    waiting = longest(completions) / longest(completions / gpus) - 1
    return alone * (1 + step.generation * waiting) + all_reduce(gpus) + step.together * math.log2(gpus)


def longest(completions: float) -> float:
    """Tokens of the longest of so many answers, in the mean."""
    return min(LONGEST, MEAN_LENGTH * harmonic(completions))


def harmonic(number: float) -> float:
    """1 + 1/2 + ... + 1/number, smooth between whole numbers.

    >>> round(harmonic(1), 2), round(harmonic(4), 2)
    (1.0, 2.08)
    """
    return math.log(number) + 0.5772 + 1 / (2 * number) - 1 / (12 * number**2) + 0.0061 / number**4


def all_reduce(gpus: int) -> float:
    """Seconds for the gradients of all GPUs to become one."""
    if gpus == 1:
        return 0.0
    bandwidth, latency = NVLINK if gpus <= GPUS_OF_A_NODE else NETWORK
    return 2 * (gpus - 1) / gpus * LORA_BYTES / bandwidth + 2 * (gpus - 1) * latency


def lines(step: Step) -> list[str]:
    """A table of the model for 1 to 64 GPUs."""
    rows = [
        "| model | GPUs | completions | step | completions/s | of linear |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, completions_of in (("strong", lambda gpus: max(128, 4 * gpus)), ("weak", lambda gpus: 64 * gpus)):
        rate_of_one = completions_of(1) / seconds(step, 1, completions_of(1))
        for gpus in (1, 2, 4, 8, 64):
            taken = seconds(step, gpus, completions_of(gpus))
            rate = completions_of(gpus) / taken
            share = rate / gpus / rate_of_one
            rows.append(f"| {name} | {gpus} | {completions_of(gpus)} | {taken:.2f} s | {rate:.0f} | {share:.0%} |")
    return rows


def main() -> None:
    fewer, more, two = (json.loads(Path(path).read_text()) for path in sys.argv[1:4])
    points = [(result["completions"], result["step_s_median"]) for result in (fewer, more)]
    step = fitted(*points, generation=more["parts"]["time/generation"] / more["step_s_median"])
    step = replace(step, together=two["step_s_median"] - seconds(step, two["processes"], two["completions"]))
    line = f"{step.fixed:.3f} s and {step.each * 1e3:.2f} ms a completion, {step.generation:.0%} generation"
    print(f"one GPU: {line}; two together {step.together:+.3f} s")
    print("\n".join(lines(step)))


if __name__ == "__main__":
    main()
