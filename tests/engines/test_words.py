"""What ranks exchange arrives as it was, and what nobody of them sends builds and runs nothing."""

import doctest
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from grpo_job.engines import words
from grpo_job.engines.ranks import Answer, Asked, Decision, Load, LoadAdapter, TakeRows, Train
from grpo_job.engines.words import BadWord, decoded, encoded
from grpo_job.evaluation.completion import Completion
from grpo_job.evaluation.measure import Measure
from grpo_job.outcomes import Outcome
from tests.planner.test_plan import GPUS, SHAPES, tutorial

PLAN = tutorial(next(iter(GPUS.values())), SHAPES["3B"])
ROWS = [{"prompt": [{"role": "user", "content": "2 + 2?\udce9"}], "answer": "4", "gold": ["4", None], "n": 1.5}]


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2.5, "é\n", [], (), {}, (ROWS, Path("/runs/1")), ("host", 17, 3.25), [["a"], ["b", ""]],
        Answer(), Train(None), Train(Path("step-000010")), LoadAdapter(Path("a")), TakeRows(7),
        Load("trl", PLAN, None, Path("a"), {"lora_target_modules": ("q_proj",)}),
        Asked(["2 + 2?"], {"adapter": "on", "seed": 3}), Decision(True, False, True),
        Outcome(4, "hopeless", "why"), Completion("4", 2, truncated=True),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_said_arrives_as_it_was(value: Any) -> None:
    heard = decoded(encoded(value))
    assert heard == value
    assert type(heard) is type(value)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    with pytest.raises(BadWord, match="no rank of this run sends"):
        decoded(pickle.dumps(Hostile(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "said",
    [
        b"", b"{", b"\xff", b'{"Popen": [["true"]]}', b'{"Train": []}', b"{}", b'{"Train": [1], "Path": ["x"]}',
        b'{"Outcome": 3}', b"[" * 100_000, b'{"Path": [[]]}', b'{"tuple": {"a": 1, "b": 2}}',
    ],
)  # fmt: skip
def test_what_is_no_word_is_refused(said: bytes) -> None:
    with pytest.raises(BadWord):
        decoded(said)


def test_what_is_too_large_is_refused_on_both_sides() -> None:
    with pytest.raises(BadWord, match="has 12 bytes; allowed: at most 10"):
        encoded("a" * 10, most=10)
    with pytest.raises(BadWord, match="has 12 bytes; allowed: at most 10"):
        decoded(json.dumps("a" * 10).encode(), most=10)


@pytest.mark.parametrize(("value", "name"), [({1}, "set"), (Measure("reward own", (("own", 1.0),)), "Measure")])
def test_objects_of_other_classes_are_not_sent_not_even_as_tuples(value: Any, name: str) -> None:
    with pytest.raises(BadWord, match=f"do not exchange a {name}"):
        encoded({"a": value})


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(words).failed == 0
