"""Whether anything shows that completions depend on their question. For rewards of any values."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import exp, sqrt
from typing import Any

from grpo_job.evaluation import chance
from grpo_job.evaluation.completion import said
from grpo_job.evaluation.grading import Reward, golds_of
from grpo_job.evaluation.measure import Measure
from grpo_job.evaluation.statistics import LEAST_PAIRS, sign_flip

Records = Sequence[Mapping[str, Any]]

NUMBER = re.compile(r"\d[\d.,]*")  # texts that differ in their numbers alone count as one


def forms(records: Records) -> list[str]:
    """The completions, each in one form."""
    return [chance.one_form(record["completion"]) for record in records]


def doubtful(records: Records, before: Records = ()) -> bool:
    """Whether only what is paid can show that the completions depend on their question.

    Not where fewer than LEAST_PAIRS questions differ, the golds are one and the same, or the answers know them. Nor
    where the completions share more with their own question than with others, or with what was said to it `before`
    training; of `few` texts that shows nothing.
    """
    if _questions(records) < LEAST_PAIRS or chance.constant(_golds(records)) or _knows_golds(records):
        return False
    asked, said = ([record[key] for record in side] for side, key in ((records, "question"), (before, "completion")))
    return few(records) or not any(_go_with(records, texts) for texts in (asked, said) if texts)


def few(records: Records) -> bool:
    """Whether the questions got few texts, or few answers however they are put.

    Few texts: fewer than the root of the questions' number, numbers aside. They are counted as exp(entropy): as many
    equally common ones would have the same entropy. Few answers: as `chance.collapsed` has it, of rows with golds.
    """
    texts = [NUMBER.sub("0", form) for form in forms(records)]
    return exp(chance.entropy(texts)) < _questions(records) ** 0.5 or chance.collapsed(*_answers(records))


def shared(text: str, other: str) -> float:
    """How alike two texts are: the cosine of the sets of their pairs of neighbouring characters.

    Over many rows, names, numbers and words of the one in the other show in it, and even their lengths.

    >>> shared("Ivo has 5 cards", "ivo has 5 cards"), shared("ab", "xy"), shared("", "")
    (1.0, 0.0, 1.0)
    """
    one, two = (set(pairwise(f" {each.casefold()} ")) for each in (text, other))
    return round(len(one & two) / sqrt(len(one) * len(two)), 9)


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
    """Where the completions are `doubtful`, add to each record as `dealt` what the rewards pay for another row's."""
    if not doubtful(records):
        return
    others = dealt([said(record) for record in records])
    paid = {name: reward(others, rows) for name, reward in rewards.items()}
    for number, record in enumerate(records):
        record["dealt"] = {"rewards": {name: scores[number] for name, scores in paid.items()}}


def unread(records: Records, measure: Measure, before: Records = ()) -> bool:
    """Whether the completions are `doubtful`, and the measure pays them no more than those of other rows (`deal`).

    Not where different texts were not dealt: they may be some of many rows, of which all together showed it.
    """
    is_dealt = any("dealt" in record for record in records)
    return (is_dealt or few(records)) and doubtful(records, before) and not _more(_leads(records, measure))


def constant(records: Records, measure: Measure) -> bool:
    """Whether nearly all completions are one and the same, and the few others earn no more than elsewhere.

    Where these earn more, too few of them to prove it, they may be right: a rare label.
    """
    return chance.constant(forms(records)) and round(sum(_leads(records, measure)), 9) <= 0


def _leads(records: Records, measure: Measure) -> list[float]:
    """By how much the measure pays each completion more than the one dealt to its row; of what it could grade."""
    pairs = [(measure.of(record), measure.of(record["dealt"])) for record in records if "dealt" in record]
    return [own - other for own, other in pairs if own is not None and other is not None]


def _more(leads: Sequence[float]) -> bool:
    return sum(leads) > 0 and sign_flip(leads) < chance.KNOWING_P


def _go_with(records: Records, texts: Sequence[str]) -> bool:
    """Whether the completions share more with the texts of their own rows than those that `dealt` gives to these do."""
    own = [record["completion"] for record in records]
    rows = zip(texts, own, dealt(own), strict=True)
    return _more([shared(text, mine) - shared(text, other) for text, mine, other in rows])


def _questions(records: Records) -> int:
    return len({record["question"] for record in records})


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
