"""Do the sampled answers still depend on the question: two metrics over the completions of the last steps."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from grpo_job.evaluation.alike import Group, alike_between, known_above_chance
from grpo_job.evaluation.chance import meanings, one_form
from grpo_job.evaluation.measure import SHARES

ALIKE, KNOWN = "answers_alike", "answers_above_chance"  # see `alike_between` and `known_above_chance`
STEPS, PROMPTS = 10, 80  # that a window has at least: over fewer, good runs look alike
READ = 4  # answers of each prompt that are read: more prompts say more than more answers of one


class _Answer(NamedTuple):
    """An answer and its row's gold, each in one form, and whether a reward found it right."""

    form: str
    gold: str
    right: bool


class _Step(NamedTuple):
    number: int
    groups: list[list[_Answer]]


class AnswersOfLastSteps:
    """A window over the completions of the last STEPS steps, or of as many as hold PROMPTS prompts."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], read: Callable[[str], str | None]) -> None:
        """`rows` are those trained on, which have the golds; `read` finds the answer in a completion."""
        self.read, self.window = read, deque[_Step]()
        self.golds = {_key(row["prompt"]): row["answer"] for row in rows}

    def add(self, step: int, completions: Iterable[Mapping[str, Any]]) -> None:
        """The completions of one generation, as `completions.jsonl` has them: those of a prompt in a row."""
        found = [self._group(gold, rows) for gold, rows in self._by_prompt(completions) if gold]
        self.window.append(_Step(step, found))
        while len(self.window) > 1 and _is_enough(list(self.window)[1:]):
            self.window.popleft()

    def metrics(self) -> dict[str, float]:
        """The two metrics over the window; nothing where they are not defined, as with golds that are all alike."""
        groups = _told_by_meaning([group for step in self.window for group in step.groups])
        alike = alike_between(groups)
        return {} if alike is None else {ALIKE: alike, KNOWN: known_above_chance(groups)}

    def _by_prompt(self, completions: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str | None, list[Any]]]:
        for key, rows in groupby(completions, lambda row: _key(row["prompt"])):
            yield self.golds.get(key), list(rows)

    def _group(self, gold: str, rows: Sequence[Mapping[str, Any]]) -> list[_Answer]:
        form = one_form(gold)
        return [_Answer(self._form(row), form, _is_right(row)) for row in rows[:READ]]

    def _form(self, row: Mapping[str, Any]) -> str:
        return one_form(self.read(row["completion"]) or row["completion"])


def _told_by_meaning(groups: Sequence[Sequence[_Answer]]) -> list[Group]:
    """The answers by prompt: one that a reward found right is the gold, also where it is wrong."""
    known = meanings(*zip(*(answer for group in groups for answer in group), strict=True)) if groups else {}
    return [
        Group(group[0].gold, tuple(one.gold if one.right else known.get(one.form, one.form) for one in group))
        for group in groups
    ]


def _is_right(row: Mapping[str, Any]) -> bool:
    return any(row["rewards"].get(name) == 1.0 for name in SHARES)


def by_step(completions: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, list[Mapping[str, Any]]]]:
    """The lines of `completions.jsonl` a step."""
    return ((step, list(rows)) for step, rows in groupby(completions, itemgetter("step")))


def _is_enough(window: Sequence[_Step]) -> bool:
    steps = window[-1].number - window[0].number + 1
    return steps >= STEPS and sum(len(step.groups) for step in window) >= PROMPTS


def _key(prompt: Any) -> str:
    return json.dumps(prompt, sort_keys=True)
