"""What a run is judged by: one number for each record of an evaluation, chosen and named before training. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

AUTO = "auto"
RIGHT, WEIGHTED = "right answers, read anywhere", "weighted sum of the rewards"
READS_GOLDS = {"correct", "correct_anywhere", "correctness"}  # rewards that pay the answer which `RIGHT` looks for
FORMS = ("choice", "yes_no", "one_of", "exact")  # rewards with a reading of their own, from the whole text
SHARES = {"correct", "correct_anywhere", *FORMS}  # 1 means that the row's answer was given, 0 that it was not
DIGITS = 12  # of a value, and after its point: what floats add to these is not measured


class Measure(NamedTuple):
    """Its name as people read it, and the rewards that it sums with their weights; without any: right anywhere."""

    name: str
    weights: tuple[tuple[str, float], ...] = ()

    @property
    def reads_answers(self) -> bool:
        """Whether 1 means a right answer and 0 any other, so that accuracy above chance is defined."""
        return not self.weights or (len(self.weights) == 1 and self.weights[0][0] in SHARES)

    @property
    def word(self) -> str:
        """One word for machines: `accuracy` for right answers, else its name.

        >>> Measure(RIGHT).word, Measure("reward brief", (("brief", 1.0),)).word
        ('accuracy', 'reward_brief')
        """
        return "accuracy" if self.name == RIGHT else self.name.replace(" ", "_")

    def of(self, record: Mapping[str, Any]) -> float | None:
        """The record's value; None where the one reward that is measured could not grade it.

        In a sum, what cannot be graded adds nothing, as in training. 0.1 + 0.2 is worth as much as 0.3.

        >>> Measure("brief", (("brief", 1.0),)).of({"rewards": {"brief": 0.5}})
        0.5
        >>> Measure(WEIGHTED, (("brief", 2.0), ("kind", 1.0))).of({"rewards": {"brief": 0.5, "kind": None}})
        1.0
        """
        if not self.weights:
            return float(record["correct_lenient"])
        paid = record["rewards"]
        if len(self.weights) == 1 and paid[self.weights[0][0]] is None:
            return None
        total = sum((weight * (paid[name] or 0.0) for name, weight in self.weights), 0.0)
        return round(float(f"{total:.{DIGITS}g}"), DIGITS)


def choose(asked: str, chosen: Sequence[tuple[str, float]], *, golds: bool) -> Measure:
    """The measure that `GRPO_MEASURE` names. `chosen`: the run's rewards and weights; `golds`: the rows have answers.

    `auto` is right answers, read wherever they are, where the rows have golds and a chosen reward reads them (for a
    letter, yes or no or a text: by that reward); else the weighted sum of the chosen rewards. A short name is that
    reward, without a weight.

    >>> choose("auto", [("correct", 2.0), ("brief", 1.0)], golds=True).name
    'right answers, read anywhere'
    >>> choose("auto", [("format_tags", 1.0), ("choice", 2.0)], golds=True).name
    'reward choice'
    >>> choose("auto", [("brief", 2.0)], golds=True)
    Measure(name='reward brief', weights=(('brief', 2.0),))
    """
    if asked != AUTO:
        return Measure(f"reward {asked}", ((asked, 1.0),))
    names = [name for name, _ in chosen]
    if golds and READS_GOLDS.intersection(names):
        return Measure(RIGHT)
    if golds and (form := next((name for name in names if name in FORMS), None)):
        return Measure(f"reward {form}", ((form, 1.0),))
    return Measure(WEIGHTED if len(chosen) > 1 else f"reward {chosen[0][0]}", tuple(chosen))
