"""Simulated evaluations whose truth is known: no effect, answers that ignore the question, a policy that is better.

python -m tests.campaigns.verdict COUNT [FIRST_SEED]
"""

import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from grpo_job.evaluation import statistics
from grpo_job.evaluation.verdict import Answers, Reading, decide
from tests.campaigns import own_rewards

MOST_FALSE = 0.035  # upper bound of the share of runs without effect that may be called improved
ROWS, CHOSEN_ON = 400, 64  # held out, and set apart to choose a checkpoint by
CHURNS = (0.05, 0.1, 0.2, 0.3)
CHECKPOINTS = {"last": 1, "best of 10": 10, "best of 25": 25}
# gold values and their shares
TASKS = {
    "50/50": (("yes", "no"), (0.5, 0.5)),
    "80/20": (("yes", "no"), (0.8, 0.2)),
    "97/3": (("yes", "no"), (0.97, 0.03)),
    "four choices": (("a", "b", "c", "d"), (0.25, 0.25, 0.25, 0.25)),
}
GAIN, CHURN, GAIN_ROWS = 0.05, 0.2, (400, 800, 1319)
OFF_POWER = 0.06  # of the normal approximation: the exact test finds a little less
OFF_OWN = 0.005  # of the share of own rewards that are improved: each test has p below 0.0001
Words = np.ndarray[Any, np.dtype[np.str_]]
Made = Callable[[np.random.Generator], tuple[Words, Words, Words]]
Says = Callable[[np.random.Generator], str]
Right = Callable[["Told"], bool]


class Told(NamedTuple):
    """How many of the runs of one kind had the verdict that is counted, and whether that is as it must be."""

    group: str
    kind: str
    counted: int
    runs: int
    good: bool = True

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the share."""
        low = 0.0 if not self.counted else float(beta.ppf(0.025, self.counted, self.runs - self.counted + 1))
        return low, 1.0 if self.counted == self.runs else float(
            beta.ppf(0.975, self.counted + 1, self.runs - self.counted)
        )


mcnemar = cache(statistics.mcnemar)


def verdict_of(golds: Words, before: Words, after: Words) -> str:
    """What `verdict.judge` says of these answers, without the figures that it shows beside the verdict."""
    gained = int(((after == golds) & (before != golds)).sum())
    lost = int(((before == golds) & (after != golds)).sum())
    tested = statistics.verdict((gained - lost) / len(golds), mcnemar(gained, lost), len(golds))
    answers = Answers(before.tolist(), after.tolist(), golds.tolist())
    return decide(tested, Reading(answers))


def without_effect(random: np.random.Generator, checkpoints: int, churn: float) -> tuple[Words, Words, Words]:
    """Golds of 40 numbers; each checkpoint is right as often as the base, on other rows.

    The checkpoint is chosen as GRPO_KEEP=best does: by `CHOSEN_ON` rows apart, and another one than the last only
    where it leads by more than a standard error.
    """
    accuracy = random.uniform(0.2, 0.8)
    golds = random.integers(0, 40, size=ROWS).astype(str)
    base = random.random(ROWS + CHOSEN_ON) < accuracy
    flips = np.where(base, churn / (2 * accuracy), churn / (2 * (1 - accuracy)))  # as many gained as lost on average
    after = base ^ (random.random((checkpoints, ROWS + CHOSEN_ON)) < flips)
    apart = after[:, ROWS:].astype(float)
    best = int(np.argmax(apart.mean(axis=1)))
    lead, error = statistics.mean_and_error((apart[best] - apart[-1]).tolist())
    kept = after[best if lead > error else -1, :ROWS]
    return golds, np.where(base[:ROWS], golds, "wrong"), np.where(kept, golds, "wrong")


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
    """A majority base, and a policy that finds 60 to 95 % of the rows beside the commonest gold."""
    golds, (words, shares) = drawn(random, task), TASKS[task]
    common = words[int(np.argmax(shares))]
    known = random.random(ROWS) < np.where(golds == common, 0.99, random.uniform(0.6, 0.95))
    return golds, np.full(ROWS, common), np.where(known, golds, np.where(golds == common, words[1], common))


def raised(random: np.random.Generator, rows: int) -> tuple[Words, Words, Words]:
    """GAIN more at a churn of CHURN, on 40 numbers, from a base that is right on half of the rows."""
    golds = random.integers(0, 40, size=rows).astype(str)
    base = random.random(rows) < 0.5
    after = base ^ (random.random(rows) < np.where(base, CHURN - GAIN, CHURN + GAIN))
    return golds, np.where(base, golds, "wrong"), np.where(after, golds, "wrong")


def power(rows: int) -> float:
    """The chance that a paired test finds GAIN at CHURN (normal approximation; J. Miettinen, Biometrics 24, 1968)."""
    error = math.sqrt((CHURN - GAIN**2) / rows)
    return NormalDist().cdf(GAIN / error - NormalDist().inv_cdf(1 - statistics.SIGNIFICANCE / 2))


def all_told(count: int, first_seed: int) -> Iterator[Told]:
    """Each kind of run with whether it is as it must be."""

    def told_of(group: str, kind: str, said_of: Says, verdict: str) -> Told:
        seeds = np.random.SeedSequence([first_seed, *f"{group} {kind}".encode()]).spawn(count)
        said = [said_of(np.random.default_rng(seed)) for seed in seeds]
        return Told(group, kind, said.count(verdict), count)

    def counted(group: str, kind: str, made: Made, verdict: str, good: Right) -> Told:
        told = told_of(group, kind, lambda random: verdict_of(*made(random)), verdict)
        return told._replace(good=good(told) or count < 1000)

    for name, checkpoints in CHECKPOINTS.items():
        for churn in CHURNS:
            made: Made = lambda random, n=checkpoints, churn=churn: without_effect(random, n, churn)  # type: ignore[misc]  # noqa: E731
            below = lambda told: told.interval[1] <= MOST_FALSE  # noqa: E731
            yield counted(f"no effect, {name}: improved", f"churn {churn}", made, "improved", below)
    for policy in ("constant", "majority", "two answers"):
        for task in TASKS:
            made = lambda random, task=task, policy=policy: ignoring(random, task, policy)  # type: ignore[misc]  # noqa: E731
            yield counted(f"{policy}: improved", task, made, "improved", lambda told: not told.counted)
    for task in TASKS:
        made = lambda random, task=task: better(random, task)  # type: ignore[misc]  # noqa: E731
        yield counted("truly better: collapsed", task, made, "collapsed", lambda told: not told.counted)
    for rows in GAIN_ROWS:
        made = lambda random, rows=rows: raised(random, rows)  # type: ignore[misc]  # noqa: E731
        near = lambda told, rows=rows: abs(told.counted / told.runs - power(rows)) <= OFF_POWER  # noqa: E731
        yield counted("5 points more: improved", f"{rows} rows (power {power(rows):.0%})", made, "improved", near)
    for group, policies, share in (("ignore", own_rewards.IGNORING, 0), ("depend on", own_rewards.DEPENDING, 1)):
        for kind, policy in policies.items():
            says: Says = lambda random, policy=policy: own_rewards.verdict_of(random, policy)  # type: ignore[misc]  # noqa: E731
            told = told_of(f"own rewards, {group} the question: improved", kind, says, "improved")
            yield told._replace(good=abs(told.counted / count - share) <= OFF_OWN)


def main(count: int, first_seed: int = 0) -> int:
    """Print a line a kind of run and a last one; the number of kinds that are not as they must be."""
    found = []
    for told in all_told(count, first_seed):
        found.append(told)
        low, high = told.interval
        said = f"{told.counted} of {told.runs} ({low:.2%} to {high:.2%})"
        print(f"{told.group}, {told.kind} {said}{'' if told.good else ' WRONG'}", flush=True)
    wrong = sum(not told.good for told in found)
    groups = (_line(name, list(kinds)) for name, kinds in groupby(found, lambda told: told.group))
    print(f"verdict: {wrong} of {len(found)} kinds wrong, {count} runs each; {'; '.join(groups)}")
    return wrong


def _line(name: str, kinds: list[Told]) -> str:
    most = max(told.interval[1] for told in kinds)
    return f"{name} {' / '.join(f'{told.counted}' for told in kinds)} (upper bound {most:.1%})"


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
