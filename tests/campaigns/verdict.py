"""Simulated evaluations whose truth is known: no effect, answers that ignore the question, a policy that is better.

python -m tests.campaigns.verdict COUNT [FIRST_SEED]
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from grpo_job.evaluation import statistics
from grpo_job.evaluation.verdict import Answers, decide

NEVER = 0.001  # of runs of a policy that ignores the question: `chance.KNOWING_P`
MOST_FALSE = 0.035  # upper bound of the share of runs without effect that may be called improved
ROWS, CHOSEN_ON = 400, 64
CHURNS = (0.05, 0.1, 0.2, 0.3)
CHECKPOINTS = {"last": 1, "best of 10": 10, "best of 25": 25}
# gold values and their shares
TASKS = {
    "50/50": (("yes", "no"), (0.5, 0.5)),
    "80/20": (("yes", "no"), (0.8, 0.2)),
    "97/3": (("yes", "no"), (0.97, 0.03)),
    "four choices": (("a", "b", "c", "d"), (0.25, 0.25, 0.25, 0.25)),
}
Words = np.ndarray[Any, np.dtype[np.str_]]


class Told(NamedTuple):
    """How many of the runs of one kind had the verdict that is counted."""

    kind: str
    counted: int
    runs: int

    @property
    def upper(self) -> float:
        """Clopper and Pearson's one-sided 97.5 % bound of the share."""
        return 1.0 if self.counted == self.runs else float(beta.ppf(0.975, self.counted + 1, self.runs - self.counted))


def verdict_of(golds: Words, before: Words, after: Words) -> str:
    """What `verdict.judge` says of these answers, without the figures that it shows beside the verdict."""
    gained = int(((after == golds) & (before != golds)).sum())
    lost = int(((before == golds) & (after != golds)).sum())
    tested = statistics.verdict((gained - lost) / len(golds), statistics.mcnemar(gained, lost), len(golds))
    return decide(tested, Answers(before.tolist(), after.tolist(), golds.tolist()))


def without_effect(random: np.random.Generator, checkpoints: int) -> tuple[Words, Words, Words]:
    """Golds of 40 numbers; each checkpoint is right as often as the base, on other rows, and the best on
    `CHOSEN_ON` rows apart is taken."""
    accuracy, churn = random.uniform(0.2, 0.8), random.choice(CHURNS)
    golds = random.integers(0, 40, size=ROWS + CHOSEN_ON).astype(str)
    base = random.random(len(golds)) < accuracy
    best = max((_churned(random, base, accuracy, churn) for _ in range(checkpoints)), key=lambda it: it[ROWS:].sum())
    before, after = (np.where(right, golds, "wrong")[:ROWS] for right in (base, best))
    return golds[:ROWS], before, after


def _churned(random: np.random.Generator, right: Any, accuracy: float, churn: float) -> Any:
    """As many rows gained as lost on average: `churn` of all rows change sides."""
    flips = np.where(right, churn / (2 * accuracy), churn / (2 * (1 - accuracy)))
    return right ^ (random.random(len(right)) < flips)


def drawn(random: np.random.Generator, task: str) -> Words:
    """Golds of one of TASKS."""
    words, shares = TASKS[task]
    return random.choice(words, size=ROWS, p=shares)


def ignoring(random: np.random.Generator, task: str, policy: str) -> tuple[Words, Words, Words]:
    """A base that guesses, or gives no answer at all, and then a policy that does not read the question."""
    golds, (words, shares) = drawn(random, task), TASKS[task]
    base = random.choice([*words, "?"], size=ROWS) if random.random() < 0.5 else np.full(ROWS, "?")
    match policy:
        case "constant":
            after = np.full(ROWS, random.choice(words))
        case "majority":
            after = np.full(ROWS, words[int(np.argmax(shares))])
        case _:
            after = random.choice(words[:2], size=ROWS, p=(0.7, 0.3))
    return golds, base, after


def better(random: np.random.Generator, task: str) -> tuple[Words, Words, Words]:
    """A majority base, and a policy that finds 60 to 95 % of each kind of row."""
    golds, (words, shares) = drawn(random, task), TASKS[task]
    common = words[int(np.argmax(shares))]
    known = random.random(ROWS) < np.where(golds == common, 0.99, random.uniform(0.6, 0.95))
    return golds, np.full(ROWS, common), np.where(known, golds, np.where(golds == common, words[1], common))


def raised(random: np.random.Generator) -> tuple[Words, Words, Words]:
    """Five points more at a churn of 0.2, on 40 numbers: as many gained as 0.125 of the rows, 0.075 lost."""
    golds = random.integers(0, 40, size=ROWS).astype(str)
    base = random.random(ROWS) < 0.5
    after = base ^ (random.random(ROWS) < np.where(base, 0.15, 0.25))
    return golds, np.where(base, golds, "wrong"), np.where(after, golds, "wrong")


def all_told(count: int, first_seed: int) -> Iterator[tuple[Told, bool]]:
    """Each kind of run with whether it is as it must be."""

    def counted(kind: str, made: Any, verdict: str) -> Told:
        seeds = np.random.SeedSequence([first_seed, *kind.encode()]).spawn(count)
        said = [verdict_of(*made(np.random.default_rng(seed))) for seed in seeds]
        return Told(f"{kind}: {verdict}", said.count(verdict), count)

    for name, checkpoints in CHECKPOINTS.items():
        told = counted(f"no effect, {name}", lambda random, n=checkpoints: without_effect(random, n), "improved")
        yield told, told.upper <= MOST_FALSE or count < 1000
    for policy in ("constant", "majority", "two answers"):
        for task in TASKS:
            made = lambda random, task=task, policy=policy: ignoring(random, task, policy)  # noqa: E731
            told = counted(f"{policy} on {task}", made, "improved")
            yield told, told.counted <= told.runs * NEVER
    for task in ("80/20", "97/3"):
        told = counted(f"better on {task}", lambda random, task=task: better(random, task), "collapsed")
        yield told, not told.counted
    yield counted("five points more at churn 0.2", raised, "improved"), True


def main(count: int, first_seed: int = 0) -> int:
    """Print a line a kind of run and a last one; the number of kinds that are not as they must be."""
    found = []
    for told, good in all_told(count, first_seed):
        found.append((told, good))
        print(
            f"{told.kind} {told.counted} of {told.runs} (at most {told.upper:.1%}){'' if good else ' WRONG'}",
            flush=True,
        )
    wrong = sum(not good for _, good in found)
    first = found[: len(CHECKPOINTS)]
    print(f"verdict: {wrong} of {len(found)} kinds wrong; {_shares([told for told, _ in first])}")
    return wrong


def _shares(told: Sequence[Told]) -> str:
    return ", ".join(f"{one.kind} {one.counted} of {one.runs} (at most {one.upper:.1%})" for one in told)


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
