"""Accuracy above chance, which is that of answers given without reading the question, and collapsed answers. Pure.

Answers and golds are compared in one form. `effective` first turns records into answers of which exactly the
right ones equal their gold, so that chance and accuracy speak of the same thing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from math import exp, log
from typing import Any

from grpo_job.evaluation.statistics import CONFIDENCE, SEED

RESAMPLES = 2_000  # of the interval of the gain above chance
SHUFFLES, BATCH = 10_000, 500  # of the golds, at most and at once
EXCEEDED = 10  # shuffles with as many right as there are, after which more would not change what is said
FEW_VALUES = 6  # of answers and golds: whole tables are drawn then, a hundred times as fast
LEAST_ROWS, LEAST_OTHERS = 100, 10  # below, or with fewer golds beside the commonest, a collapse is not judged
COLLAPSED_ENTROPY, SHUFFLED_P = 0.25, 0.01
KNOWING_P = 0.0001  # of answers that know their questions: one guessing policy in ten thousand passes for one
NARROWED_BY = 0.25
NEARLY_ALL = 0.95  # completions that are one and the same, or answers that are both paid and right
MOST_DIGITS = 28  # that Decimal is exact with: a longer number stays as it is written


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
    if not number.is_finite() or max(len(number.as_tuple().digits), abs(number.adjusted())) > MOST_DIGITS:
        return text
    return f"{number.normalize():f}"


def meanings(forms: Sequence[str], golds: Sequence[str], right: Sequence[bool]) -> dict[str, str]:
    """The gold that a form is another spelling of, because it was right for it. All in one form.

    Without it a constant "5 dollars" would be two answers, of which one is given only where it is right.

    >>> meanings(["5 dollars", "7"], ["5", "6"], [True, False])
    {'5 dollars': '5'}
    """
    return {form: gold for form, gold, is_right in zip(forms, golds, right, strict=True) if is_right}


def widest(golds: Sequence[Sequence[str]]) -> list[str]:
    """Of each row's right answers, at least one, the one that is right for most rows. All in one form.

    So the commonest of them is what a single answer to every question can earn at most.

    >>> widest([["12", "7"], ["13", "7"], ["14"]])
    ['7', '7', '14']
    """
    forms = [[*map(one_form, row)] for row in golds]
    rows = Counter(form for row in forms for form in set(row))
    return [max(row, key=lambda form: (rows[form], form)) for row in forms]


def effective(answers: Sequence[str], golds: Sequence[str], right: Sequence[bool]) -> list[str]:
    """The answers in one form; a right one takes its gold's form, also where it is wrong, and no wrong one its row's.

    A spelling that is not paid where it is the gold, such as outside of the tags, ends with a space, as no form does.

    >>> effective(["1/2", "91.", "7", "1/2"], ["0.5", "91", "7", "9"], [True, True, False, False])
    ['0.5', '91', '7 ', '0.5']
    """
    forms, true = [*map(one_form, answers)], [*map(one_form, golds)]
    known = meanings(forms, true, right)
    meant = [known.get(form, form) for form in forms]
    rows = [*zip(meant, true, right, strict=True)]
    unpaid = {form for form, gold, is_right in rows if form == gold and not is_right} - set(known.values())
    return [gold if is_right else f"{form} " if form in unpaid | {gold} else form for form, gold, is_right in rows]


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

    codes = {value: number for number, value in enumerate(dict.fromkeys(golds))}
    others = len(codes)  # the code of all answers that are no gold: they earn nothing by chance
    kinds = Counter(
        (codes.get(old, others), codes.get(new, others), codes[gold])
        for old, new, gold in zip(before, after, golds, strict=True)
    )
    old, new, true = np.array(list(kinds)).T
    counts, rows, values = np.array(list(kinds.values())), len(golds), np.eye(others + 1, others, dtype=np.float32)
    drawn = np.random.default_rng(SEED).multinomial(rows, counts / rows, size=RESAMPLES)  # how often each kind of row
    drawn = drawn.astype(np.float32)  # whole numbers, exact up to 2^24
    shift = values[new] - values[old]  # of the answers' counts, by kind of row
    by_chance = ((drawn @ shift) * (drawn @ values[true])).sum(axis=1, dtype=float)
    right = (drawn @ ((new == true).astype(np.float32) - (old == true))).astype(float)
    gains = (rows * right - by_chance) / rows**2
    low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    by_chance_before, by_chance_after = chance(before, golds), chance(after, golds)
    return {
        "before": by_chance_before,
        "after": by_chance_after,
        "gain": float(
            counts @ ((new == true).astype(float) - (old == true)) / rows - by_chance_after + by_chance_before
        ),
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

    B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010. B is SHUFFLES, or less where c has passed
    EXCEEDED before (J. Besag and P. Clifford, Biometrika 78, 1991). Where a bound says that no shuffle will have as
    many, none is drawn.
    """
    if len(set(answers)) == 1:
        return 1.0  # every order of the golds has as many
    right = sum(answer == gold for answer, gold in zip(answers, golds, strict=True))
    if _bound(right, chance(answers, golds) * len(golds)) < 1 / (1 + SHUFFLES):
        return 1 / (1 + SHUFFLES)
    as_many = drawn = 0
    for matches in _right_by_chance(answers, golds):
        as_many, drawn = as_many + int((matches >= right).sum()), drawn + len(matches)
        if as_many > EXCEEDED:
            break
    return (1 + as_many) / (1 + drawn)


def _bound(right: int, expected: float) -> float:
    """An upper bound of the chance that as many are right with the golds shuffled, `expected` on average.

    2 exp(-t^2 / (4 E + 2 t)) for the sum over a random permutation of terms from 0 to 1 (S. Chatterjee, Probability
    Theory and Related Fields 138, 2007, proposition 1.1).
    """
    above = right - expected
    return 2 * exp(-(above**2) / (4 * expected + 2 * above)) if above > 0 else 1.0


def _right_by_chance(answers: Sequence[str], golds: Sequence[str]) -> Iterator[Any]:
    """The numbers right with the golds shuffled, BATCH at a time, as arrays."""
    import numpy as np
    from scipy.stats import random_table

    codes = {value: number for number, value in enumerate(dict.fromkeys([*golds, *answers]))}
    given, true = (np.array([codes[value] for value in side], dtype=np.int32) for side in (answers, golds))
    random = np.random.default_rng(SEED)
    table = random_table(np.bincount(given, minlength=len(codes)), np.bincount(true, minlength=len(codes)))
    for _ in range(SHUFFLES // BATCH):
        if len(codes) <= FEW_VALUES:
            yield np.trace(table.rvs(BATCH, method="patefield", random_state=random), axis1=1, axis2=2)
        else:
            shuffled = random.permuted(np.broadcast_to(true, (BATCH, len(true))), axis=1)
            yield (shuffled == given).sum(axis=1)


def collapsed(answers: Sequence[str], golds: Sequence[str]) -> bool:
    """Whether the answers hardly differ and know nothing of their questions.

    Their entropy is below a quarter of the golds', and they are no better than against shuffled golds. False where
    that cannot be judged: few rows, or golds that hardly differ themselves.
    """
    others = len(golds) - commonest(golds)[1] if golds else 0
    if len(golds) < LEAST_ROWS or others < LEAST_OTHERS:
        return False
    return entropy(answers) < COLLAPSED_ENTROPY * entropy(golds) and shuffled_p(answers, golds) >= SHUFFLED_P


def constant(values: Sequence[str]) -> bool:
    """Whether nearly all are one and the same.

    >>> constant(["ok"] * 19 + ["no"]), constant(["ok"] * 18 + ["no"] * 2), constant([])
    (True, False, False)
    """
    return bool(values) and commonest(values)[1] >= NEARLY_ALL * len(values)


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
