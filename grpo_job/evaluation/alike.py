"""Whether sampled answers still depend on the question: how alike they are between prompts. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from grpo_job.evaluation.chance import LEAST_OTHERS, commonest

SURE = 2.33  # standard errors: one-sided 1 %


class Group(NamedTuple):
    """The answers sampled for one prompt and its gold, all in one form; of at least one answer."""

    gold: str
    answers: tuple[str, ...]


def alike_between(groups: Sequence[Group]) -> float | None:
    """How alike the answers of different prompts are: 0 as the golds are, 1 all the same.

    The chance that one answer of each of two prompts are equal, corrected for that of their golds: (a - g) / (1 - g),
    as Cohen's kappa corrects for chance. None where fewer than LEAST_OTHERS golds differ from the commonest.

    >>> constant = [Group(str(gold), ("8", "8")) for gold in range(20)]
    >>> alike_between(constant), alike_between(constant[:5])
    (1.0, None)
    """
    golds = [group.gold for group in groups]
    if not golds or len(golds) - commonest(golds)[1] < LEAST_OTHERS:
        return None
    pairs = len(groups) * (len(groups) - 1)
    shares = [_shares(group) for group in groups]
    total = _summed(shares)
    within = sum(share**2 for own in shares for share in own.values())
    alike = (sum(share**2 for share in total.values()) - within) / pairs
    of_golds = sum(count * (count - 1) for count in Counter(golds).values()) / pairs
    return (alike - of_golds) / (1 - of_golds)


def known_above_chance(groups: Sequence[Group]) -> float:
    """The share of right answers above what the other prompts' answers earn here: its lower end, one-sided 99 %.

    Above 0 the answers know something of their questions. At least two groups.

    >>> known_above_chance([Group(str(gold), ("8", "8")) for gold in range(20)])
    0.0
    """
    shares = [_shares(group) for group in groups]
    total, others = _summed(shares), len(groups) - 1
    leads = []
    for group, own in zip(groups, shares, strict=True):
        right = own.get(group.gold, 0.0)
        leads.append(right - (total.get(group.gold, 0.0) - right) / others)
    mean = sum(leads) / len(leads)
    variance = sum((lead - mean) ** 2 for lead in leads) / others
    return mean - SURE * float((variance / len(leads)) ** 0.5)


def _shares(group: Group) -> dict[str, float]:
    return {answer: count / len(group.answers) for answer, count in Counter(group.answers).items()}


def _summed(shares: Sequence[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for own in shares:
        for answer, share in own.items():
            total[answer] = total.get(answer, 0.0) + share
    return total
