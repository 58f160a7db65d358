"""Cuts at every kind of place in the training: each pass over the rows, each way that generations feed steps."""

import itertools
import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grpo_job.run_folder.files import write_text
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

SAMPLE = runs.ROOT / "grpo_job/inputs/sample"
PROMPTS_IN_A_MICRO_STEP = 2
GENERATIONS = 4
PASSES = 3


class Shape(NamedTuple):
    """How generations, micro-steps and optimizer steps go together."""

    steps_per_generation: int
    num_iterations: int
    accumulation: int

    @property
    def steps_of_a_generation(self) -> int:
        return self.steps_per_generation * self.num_iterations // self.accumulation

    @property
    def prompts_of_a_generation(self) -> int:
        return self.steps_per_generation * PROMPTS_IN_A_MICRO_STEP

    @property
    def rows(self) -> int:
        """So few that generations straddle the ends of passes."""
        return self.prompts_of_a_generation + 1

    @property
    def steps(self) -> int:
        """As many as it takes to be well within the third pass."""
        return (PASSES * self.rows // self.prompts_of_a_generation + 2) * self.steps_of_a_generation

    def pass_of(self, step: int) -> int:
        generation = (step - 1) // self.steps_of_a_generation
        return generation * self.prompts_of_a_generation // self.rows


# Where a step would mix two generations the settings are refused, so (1, 1, 2) is not among them.
SHAPES = [
    shape
    for numbers in itertools.product((1, 4), (1, 2), (1, 2))
    if (shape := Shape(*numbers)).steps_per_generation * shape.num_iterations >= shape.accumulation
]


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` cuts, shape after shape, each in a pass and by a signal of its own turn."""
    dice = random.Random(seed)
    whole: dict[Shape, Path] = {}
    kinds = itertools.product(range(PASSES), SHAPES, (signal.SIGTERM, signal.SIGKILL))
    for number, (passing, shape, killer) in enumerate(itertools.islice(itertools.cycle(kinds), count)):
        settings = _settings(folder, shape)
        if shape not in whole:
            whole[shape] = folder / f"whole-{len(whole)}"
            runs.finish(whole[shape], settings, hooks=[WithoutReport()])
        steps = [step for step in range(1, shape.steps) if shape.pass_of(step) == passing]
        yield _trial(folder / f"cut-{number}", settings, shape, dice.choice(steps), killer, whole[shape])


def _trial(
    folder: Path, settings: dict[str, str], shape: Shape, step: int, killer: int, whole: Path
) -> tuple[str, str]:
    name = signal.Signals(killer).name
    what = f"{shape}, {name} after step {step} of {shape.steps} in pass {shape.pass_of(step)}"
    cut = runs.finish(folder, settings, hooks=[SignalAfterStep(step, killer), WithoutReport()])
    # In the last generation the next boundary is the end of training, behind which the signal is obeyed all the same.
    expected = 75 if killer == signal.SIGTERM else -killer
    if cut != expected:
        return what, f"the cut attempt ended with {cut}, not {expected}"
    again = runs.finish(folder, settings, hooks=[WithoutReport()])
    return what, f"the resumed attempt ended with {again}" if again else runs.difference(
        runs.result(whole), runs.result(folder)
    )


def _settings(folder: Path, shape: Shape) -> dict[str, str]:
    return {
        "GRPO_DATASET": str(rows_file(folder, shape.rows)),
        "GRPO_EVAL_DATASET": str(rows_file(folder, 2, skip=100)),
        "GRPO_EVAL_ROWS": "2",
        "GRPO_MAX_STEPS": str(shape.steps),
        "GRPO_NUM_GENERATIONS": str(GENERATIONS),
        "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": str(GENERATIONS * PROMPTS_IN_A_MICRO_STEP),
        "GRPO_STEPS_PER_GENERATION": str(shape.steps_per_generation),
        "GRPO_NUM_ITERATIONS": str(shape.num_iterations),
        "GRPO_GRADIENT_ACCUMULATION_STEPS": str(shape.accumulation),
        "GRPO_MAX_COMPLETION_LENGTH": "64",
        "GRPO_SAVE_STEPS": "3",
    }


def rows_file(folder: Path, count: int, skip: int = 0) -> Path:
    """A few of the sample's rows, in a file of their own."""
    path = folder / f"rows-{skip}-{count}.jsonl"
    if not path.exists():
        lines = (SAMPLE / "train.jsonl").read_text(encoding="utf-8").splitlines()[skip : skip + count]
        assert len({json.loads(line)["question"] for line in lines}) == count
        write_text(path, "\n".join(lines) + "\n")
    return path
