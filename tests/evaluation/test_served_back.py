"""Whether answers of today are those that were recorded."""

import doctest
import math
from typing import Any

import pytest

from grpo_job.engines import served
from grpo_job.evaluation import served_back
from grpo_job.evaluation.measure import Measure
from grpo_job.evaluation.served_back import TIE_IN_16_BITS, Side

RIGHT = Measure("right answers, read anywhere")


def side(texts: list[str], now: list[str] | None = None, gap: float = math.inf) -> Side:
    """Answers of which those that end with `!` are right; each that differs has this gap."""
    recorded = [{"question": "?", "completion": text, "correct_lenient": text.endswith("!")} for text in texts]
    answers = now or texts
    return Side(recorded, answers, [0.0 if old == new else gap for old, new in zip(texts, answers, strict=True)])


def faults(after: Side, base: Side | None) -> list[str]:
    found: dict[str, Any] = served_back.compare(
        after, base, TIE_IN_16_BITS, RIGHT, lambda row, text: float(text.endswith("!"))
    )
    return list(found["faults"])


BEFORE, AFTER = [f"b{n}" for n in range(100)], [f"a{n}!" for n in range(100)]


def test_equal_answers_have_no_fault() -> None:
    assert faults(side(AFTER), side(BEFORE)) == []


def test_an_adapter_that_gives_the_answers_of_the_base_does_nothing() -> None:
    found = faults(side(AFTER, BEFORE), side(BEFORE))
    assert found[0] == "the adapter answers 100 of 100 questions otherwise than recorded after training"
    assert found[1] == "the adapter changes no answer, but changed 100 when it was evaluated: it does nothing"
    assert found[2] == "right answers, read anywhere: 0, outside the reported interval 0.963 to 1"


@pytest.mark.parametrize(("changed", "told"), [(1, 0), (8, 1)])
def test_a_mean_of_rows_that_were_all_paid_the_same_is_left_by_more_than_one_row(changed: int, told: int) -> None:
    brief = Measure("reward brief", (("brief", 1.0),))
    recorded = [{"question": "?", "completion": text, "rewards": {"brief": 0.0}} for text in AFTER]
    now = ["other" if n < changed else text for n, text in enumerate(AFTER)]
    found = served_back.accuracy_of(Side(recorded, now, [0.0] * len(now)), brief, lambda row, text: 0.5)
    assert len(served_back._of_accuracy(found)) == told


def test_an_adapter_that_never_changed_an_answer_is_not_told_apart() -> None:
    assert faults(side(BEFORE), side(BEFORE)) == []


def test_another_base_is_named() -> None:
    found = faults(side(AFTER), side(BEFORE, ["x", "y", "z", *BEFORE[3:]]))
    assert found == ["the base answers 3 of 100 questions otherwise than before training: it is another base, or has "
                     "another tokenizer"]  # fmt: skip


@pytest.mark.parametrize(("gap", "told"), [(0.1, 0), (0.3, 1)])
def test_a_difference_counts_unless_two_tokens_were_equally_likely(gap: float, told: int) -> None:
    now = ["another!" if n < 5 else text for n, text in enumerate(AFTER)]
    assert len(faults(side(AFTER, now, gap), None)) == told


@pytest.mark.parametrize(("differing", "without_a_tie", "told"), [(90, 9, 0), (90, 20, 1), (2, 2, 0), (3, 3, 1)])
def test_of_the_answers_that_differ_one_of_ten_may_differ_without_a_tie(
    differing: int, without_a_tie: int, told: int
) -> None:
    after = side(AFTER, ["another!"] * differing + AFTER[differing:])
    gaps = [math.inf] * without_a_tie + [0.1] * (differing - without_a_tie) + [0.0] * (100 - differing)
    assert len(faults(after._replace(gaps=gaps), None)) == told


@pytest.mark.parametrize(("rows", "others", "told"), [(1, 1, 1), (2, 2, 1), (2, 1, 0), (4, 2, 0)])
def test_of_few_answers_most_must_be_those_that_were_recorded(rows: int, others: int, told: int) -> None:
    after = side(AFTER[:rows], ["another!"] * others + AFTER[others:rows])
    assert len(faults(after, None)) == told


@pytest.mark.parametrize(("gap", "told"), [(0.1, 0), (3.0, 1)])
def test_one_answer_that_a_tie_had_changed_does_not_say_that_the_adapter_does_nothing(gap: float, told: int) -> None:
    after = side([*BEFORE[:-1], "another"], BEFORE, gap)
    assert len(faults(after, side(BEFORE))) == told


@pytest.mark.parametrize(("changed", "told"), [(0, "no answer"), (1, "1 answer"), (9, "9 answers"), (10, "")])
def test_an_adapter_of_zeros_differs_from_the_base_by_rounding_alone(changed: int, told: str) -> None:
    now = ["rounded!"] * changed + BEFORE[changed:]
    found = [fault for fault in faults(side(AFTER, now), side(BEFORE)) if "it does nothing" in fault]
    assert found == [f"the adapter changes {told}, but changed 100 when it was evaluated: it does nothing"] * bool(told)


def test_without_a_grade_the_accuracy_is_not_judged() -> None:
    found = served_back.compare(side(AFTER, BEFORE, 0.0), None, TIE_IN_16_BITS, RIGHT, lambda row, text: None)
    assert found["accuracy"]["asked"] is None
    assert found["faults"] == []


def test_over_a_base_in_other_bits_answers_may_differ_but_not_their_worth() -> None:
    def told(now: list[str]) -> list[str]:
        after, base = side(AFTER, now), side(BEFORE, [f"c{n}" for n in range(100)])
        grade = lambda row, text: float(text.endswith("!"))  # noqa: E731
        found: list[str] = served_back.compare(after, base, TIE_IN_16_BITS, RIGHT, grade, strict=False)["faults"]
        return found

    assert told([f"d{n}!" for n in range(100)]) == []
    assert told([f"d{n}" for n in range(100)]) == [
        "right answers, read anywhere: 0, outside the reported interval 0.963 to 1"
    ]


def test_a_merged_model_is_judged_by_its_accuracy_alone() -> None:
    def merged(now: list[str]) -> dict[str, Any]:
        return served_back.of_merged(
            side(AFTER, now), side(BEFORE), TIE_IN_16_BITS, RIGHT, lambda row, text: float(text.endswith("!"))
        )

    assert merged([f"c{n}!" for n in range(100)])["faults"] == []
    assert merged(BEFORE)["faults"] == [
        "the merged model: right answers, read anywhere: 0, outside the reported interval 0.963 to 1",
        "the merged model answers as the base does: the adapter is not in it",
    ]


@pytest.mark.parametrize("module", [served, served_back])
def test_examples_in_the_docstrings_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
