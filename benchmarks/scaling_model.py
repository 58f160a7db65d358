"""A model, not a measurement: what a step would take on more GPUs than were measured.

    python benchmarks/scaling_model.py GPUS:COMPLETIONS:SECONDS ... [--generation SHARE]

Each point is a measured median step. Three terms are fitted to the points by least squares of the relative error: a
fixed part, a part for each completion of one GPU, and what several GPUs take beyond the formulas (gathers, the host's
share), which grows with the logarithm of their number. To them is added what the formulas know of other GPUs:

- the all-reduce of the LoRA's fp32 gradients, as a ring: 2 (N - 1) / N of their bytes at the bandwidth of the slowest
  link, and 2 (N - 1) latencies;
- waiting for the rank with the longest answer: lengths are taken as exponential, so that the longest of n has H(n)
  times the mean, cut at the longest allowed; generation, SHARE of a step on one GPU, lasts as long as it;
- handing the folded weights to vLLM costs nothing more: each GPU folds into its own.

Left out: slower machines among equal ones, and what rank 0 alone writes.
"""

import argparse
import math
from dataclasses import dataclass

import numpy as np

LORA_BYTES = 4 * 14_966_784  # rank 8 on the seven projections of the 3B shape
GPUS_OF_A_NODE = 8
# Bytes a second and seconds a hop: NVLink of an H200 in one direction, InfiniBand NDR of 400 Gbit/s.
NVLINK, NETWORK = (450e9, 5e-6), (50e9, 20e-6)
MEAN_LENGTH, LONGEST = 130.0, 200.0  # of a trained model on GSM8K


@dataclass(frozen=True)
class Point:
    """A measured step: `completions` on all GPUs together, `seconds` the median."""

    gpus: int
    completions: int
    seconds: float


@dataclass(frozen=True)
class Step:
    """Seconds of a step on one GPU: `fixed`, and `each` for a completion; `generation` is the share that decodes.

    `together`: seconds that each doubling of the GPUs takes beyond the formulas.
    """

    fixed: float
    each: float
    together: float
    generation: float


def fitted(points: list[Point], generation: float) -> Step:
    """The terms that lie nearest to the points.

    >>> step = fitted([Point(1, 64, 2.0), Point(1, 128, 3.0), Point(2, 128, 2.1)], 0.3)
    >>> round(step.fixed, 3), round(step.each, 4), round(step.together, 2)
    (1.0, 0.0156, 0.1)
    """
    terms = [
        (waits := waiting(point.gpus, point.completions, generation), waits * point.completions / point.gpus,
         math.log2(point.gpus))
        for point in points
    ]  # fmt: skip
    wanted = np.array([point.seconds - all_reduce(point.gpus) for point in points])
    weights = np.array([1 / point.seconds for point in points])
    found = np.linalg.lstsq(np.array(terms) * weights[:, None], wanted * weights, rcond=None)[0]
    fixed, each, together = map(float, found)
    return Step(fixed, each, together, generation)


def seconds(step: Step, gpus: int, completions: int) -> float:
    """A step of so many completions on all GPUs together."""
    alone = step.fixed + step.each * completions / gpus
    return alone * waiting(gpus, completions, step.generation) + all_reduce(gpus) + step.together * math.log2(gpus)


def waiting(gpus: int, completions: int, generation: float) -> float:
    """How many times longer a step takes because each rank waits for the longest answer of all."""
    return 1 + generation * (longest(completions) / longest(completions / gpus) - 1)


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


def beside(step: Step, points: list[Point]) -> list[str]:
    """A table of the measured steps beside the model's."""
    rows = ["| GPUs | completions | measured | model | |", "| --- | --- | --- | --- | --- |"]
    for point in points:
        told = seconds(step, point.gpus, point.completions)
        rows.append(
            f"| {point.gpus} | {point.completions} | {point.seconds:.2f} s | {told:.2f} s "
            f"| {told / point.seconds - 1:+.1%} |"
        )
    return rows


def lines(step: Step) -> list[str]:
    """A table of the model for 1 to 64 GPUs; `of linear` compares with one GPU doing the same completions for a GPU."""
    rows = [
        "| model | GPUs | completions | step | completions/s | of linear |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, completions_of in (("strong", lambda gpus: max(512, 8 * gpus)), ("weak", lambda gpus: 64 * gpus)):
        rate_of_one = completions_of(1) / seconds(step, 1, completions_of(1))
        for gpus in (1, 2, 4, 8, 64):
            taken = seconds(step, gpus, completions_of(gpus))
            rate = completions_of(gpus) / taken
            share = rate / gpus / rate_of_one
            rows.append(f"| {name} | {gpus} | {completions_of(gpus)} | {taken:.2f} s | {rate:.0f} | {share:.0%} |")
    return rows


def point(text: str) -> Point:
    gpus, completions, taken = text.split(":")
    return Point(int(gpus), int(completions), float(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict a step on more GPUs than were measured.")
    parser.add_argument("points", nargs="+", type=point, help="GPUS:COMPLETIONS:SECONDS of a measured step")
    parser.add_argument("--generation", type=float, default=0.3, help="share of a step on one GPU that decodes")
    options = parser.parse_args()
    step = fitted(options.points, options.generation)
    print(f"one GPU: {step.fixed:.3f} s and {step.each * 1e3:.2f} ms a completion; {step.together:+.3f} s a doubling")
    print("\n".join([*beside(step, options.points), "", *lines(step)]))


if __name__ == "__main__":
    main()
