"""Whether completions are the same few texts for many questions, and ignore these. For rewards of any values."""

import re
from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from grpo_job.evaluation import chance
from grpo_job.evaluation.grading import Reward, golds_of
from grpo_job.evaluation.measure import Measure
from grpo_job.evaluation.statistics import LEAST_PAIRS, sign_flip

Records = Sequence[Mapping[str, Any]]

NUMBER = re.compile(r"\d[\d.,]*")  # texts that differ in their numbers alone count as one


def forms(records: Records) -> list[str]:
    """The completions, each in one form."""
    return [chance.one_form(record["completion"]) for record in records]


def few(records: Records) -> bool:
    """Whether enough different questions got few texts, or few answers however they are put.

    Few texts: fewer than the root of the questions' number, numbers aside. They are counted as exp(entropy): as many
    equally common ones would have the same entropy. Few answers: as `chance.collapsed` has it, of rows with golds.
    """
    questions = len({record["question"] for record in records})
    texts = [NUMBER.sub("0", form) for form in forms(records)]
    few_texts = exp(chance.entropy(texts)) < questions**0.5
    return questions >= LEAST_PAIRS and (few_texts or chance.collapsed(*_answers(records)))


def dealt(texts: Sequence[str]) -> list[str]:
    """The same texts, each row with another than its own wherever there are enough others.

    >>> dealt(["a", "a", "b", "b"]), dealt(["a", "b", "a"])
    (['b', 'b', 'a', 'a'], ['a', 'a', 'b'])
    """
    order = sorted(range(len(texts)), key=texts.__getitem__)
    half = len(texts) // 2
    given = dict(zip(order, [*order[half:], *order[:half]], strict=True))
    return [texts[given[row]] for row in range(len(texts))]


def deal(records: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], rewards: Mapping[str, Reward]) -> None:
    """Where the completions are few texts, add to each record as `dealt` what the rewards pay for another row's."""
    if not few(records):
        return
    others = dealt([record["completion"] for record in records])
    paid = {name: reward(others, rows) for name, reward in rewards.items()}
    for number, record in enumerate(records):
        record["dealt"] = {"rewards": {name: scores[number] for name, scores in paid.items()}}


def unread(records: Records, measure: Measure) -> bool:
    """Whether the completions are `few`, and nothing measured says that they depend on their question.

    That would be: more pay for them than for those of other rows (`deal`), or answers that know the golds.
    False where the golds are one and the same themselves.
    """
    if not few(records) or chance.constant(_golds(records)):
        return False
    leads = _leads(records, measure)
    more = sum(leads) > 0 and sign_flip(leads) < chance.KNOWING_P
    return not more and not _knows_golds(records)


def constant(records: Records, measure: Measure) -> bool:
    """Whether nearly all completions are one and the same, and the few others earn no more than elsewhere.

    Where these earn more, too few of them to prove it, they may be right: a rare label.
    """
    return chance.constant(forms(records)) and round(sum(_leads(records, measure)), 9) <= 0


def _leads(records: Records, measure: Measure) -> list[float]:
    """By how much the measure pays each completion more than the one dealt to its row; of what it could grade."""
    pairs = [(measure.of(record), measure.of(record["dealt"])) for record in records if "dealt" in record]
    return [own - other for own, other in pairs if own is not None and other is not None]


def _knows_golds(records: Records) -> bool:
    """Whether more answers are right than against shuffled golds, whatever the measure pays."""
    answers, golds = _answers(records)
    return bool(golds) and chance.shuffled_p(answers, golds) < chance.KNOWING_P


def _answers(records: Records) -> tuple[list[str], list[str]]:
    """The answers and golds of the rows that have golds, in one form."""
    asked, golds = [record for record in records if record["gold"].strip()], _golds(records)
    given = [record.get("answer") or record["completion"] for record in asked]
    return chance.effective(given, golds, [record["correct_lenient"] for record in asked]), golds


def _golds(records: Records) -> list[str]:
    return chance.widest([golds_of(record) for record in records if record["gold"].strip()])
