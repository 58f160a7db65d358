"""What answers earn without reading the question: accuracy above chance, and answers that have collapsed. Pure.

Answers and golds are compared in one form. `effective` first turns records into answers of which exactly the
right ones equal their gold, so that chance and accuracy speak of the same thing.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from math import log
from typing import Any

from grpo_job.evaluation.statistics import CONFIDENCE, SEED

RESAMPLES = 2_000  # of the interval of the gain above chance
SHUFFLES = 2_000  # of the golds
LEAST_ROWS, LEAST_OTHERS = 100, 10  # below, or with fewer golds beside the commonest, a collapse is not judged
COLLAPSED_ENTROPY, SHUFFLED_P = 0.25, 0.01
KNOWING_P = 0.001  # of answers that know their questions: one guessing policy in a thousand passes for one
NARROWED_BY = 0.25


def one_form(answer: str) -> str:
    """One spelling for answers that a reader takes for the same.

    >>> one_form("91."), one_form(" $1,000.0"), one_form("Yes!"), one_form("(B)")
    ('91', '1000', 'yes', 'b')
    """
    text = " ".join(answer.split()).casefold().strip(" .,;:!?()[]\"'`*$")
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return text
    return f"{number.normalize():f}" if number.is_finite() else text


def effective(answers: Sequence[str], golds: Sequence[str], right: Sequence[bool]) -> list[str]:
    """The answers in one form; a right one takes its gold's form, and a wrong one never has it.

    >>> effective(["1/2", "91.", "7"], ["0.5", "91", "7"], [True, True, False])
    ['0.5', '91', '']
    """
    forms = zip(map(one_form, answers), map(one_form, golds), right, strict=True)
    return [gold if is_right else "" if form == gold else form for form, gold, is_right in forms]


def chance(answers: Sequence[str], golds: Sequence[str]) -> float:
    """The expected share right with the golds shuffled: the sum over values of their shares among both, multiplied.

    The expected agreement of J. Cohen, Educational and Psychological Measurement 20, 1960. At least one row.

    >>> chance(["8", "8"], ["8", "5"]), chance(["8", "5"], ["8", "5"])
    (0.5, 0.5)
    """
    given, true = Counter(answers), Counter(golds)
    return sum(count * true[value] for value, count in given.items()) / len(golds) ** 2


def gain_above_chance(before: Sequence[str], after: Sequence[str], golds: Sequence[str]) -> dict[str, Any]:
    """The gain in (accuracy - chance) from before to after, with its 95 % paired bootstrap interval.

    Rows are drawn with both answers and their gold together, and accuracy and `chance` computed anew from each draw
    (percentile interval; B. Efron, Annals of Statistics 7, 1979). At least one row; see `effective`.
    """
    import numpy as np

    codes = {value: number for number, value in enumerate(dict.fromkeys([*golds, *before, *after]))}
    old, new, true = (np.array([codes[value] for value in side]) for side in (before, after, golds))
    rows, values = len(true), len(codes)
    random = np.random.default_rng(SEED)
    gains = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = random.integers(0, rows, size=rows)
        early, late, gold = old[drawn], new[drawn], true[drawn]
        shift = np.bincount(late, minlength=values) - np.bincount(early, minlength=values)
        by_chance = (shift @ np.bincount(gold, minlength=values)) / rows**2
        gains[number] = ((late == gold).sum() - (early == gold).sum()) / rows - by_chance
    low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    by_chance_before, by_chance_after = chance(before, golds), chance(after, golds)
    return {
        "before": by_chance_before,
        "after": by_chance_after,
        "gain": float((new == true).mean() - (old == true).mean() - by_chance_after + by_chance_before),
        "gain_interval": (float(low), float(high)),
    }


def better(before: Sequence[str], after: Sequence[str], golds: Sequence[str]) -> bool:
    """Whether the answers after know their questions (`shuffled_p`), and more above chance are right than before."""
    if shuffled_p(after, golds) >= KNOWING_P:
        return False
    low: float = gain_above_chance(before, after, golds)["gain_interval"][0]
    return low > 0


def entropy(values: Sequence[str]) -> float:
    """Shannon's entropy of the values' shares, in nats.

    >>> entropy(["8", "8"]), round(entropy(["8", "5"]), 3)
    (0.0, 0.693)
    """
    rows = len(values)
    return sum(-count / rows * log(count / rows) for count in Counter(values).values()) + 0.0


def shuffled_p(answers: Sequence[str], golds: Sequence[str]) -> float:
    """One-sided p-value of the number right, against golds dealt to the rows at random: (1 + c) / (1 + B).

    B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010.
    """
    import numpy as np

    if len(set(answers)) == 1:
        return 1.0  # every order of the golds has as many
    codes = {value: number for number, value in enumerate(dict.fromkeys([*golds, *answers]))}
    given, true = (np.array([codes[value] for value in side]) for side in (answers, golds))
    random, right = np.random.default_rng(SEED), (given == true).sum()
    as_many = sum(int((given == random.permutation(true)).sum() >= right) for _ in range(SHUFFLES))
    return (1 + as_many) / (1 + SHUFFLES)


def collapsed(answers: Sequence[str], golds: Sequence[str]) -> bool:
    """Whether the answers hardly differ and know nothing of their questions.

    Their entropy is below a quarter of the golds', and they are no better than against shuffled golds. False where
    that cannot be judged: few rows, or golds that hardly differ themselves.
    """
    others = len(golds) - commonest(golds)[1] if golds else 0
    if len(golds) < LEAST_ROWS or others < LEAST_OTHERS:
        return False
    return entropy(answers) < COLLAPSED_ENTROPY * entropy(golds) and shuffled_p(answers, golds) >= SHUFFLED_P


def narrowed(before: Sequence[str], after: Sequence[str], golds: Sequence[str]) -> bool:
    """Whether one answer is given far more often than its like among the golds and the base's answers.

    >>> narrowed(list("abcd"), list("aaab"), list("abcd"))
    True
    """
    share = commonest(after)[1] / len(after)
    return all(share - commonest(other)[1] / len(other) > NARROWED_BY for other in (before, golds))


def commonest(values: Sequence[str]) -> tuple[str, int]:
    """The commonest value, of equally common ones the first, and how often it is there."""
    return Counter(values).most_common(1)[0]
