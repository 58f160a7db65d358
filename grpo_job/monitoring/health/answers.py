"""Do the sampled answers still depend on the question: two metrics over the completions of the last steps."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from grpo_job.evaluation.alike import Group, alike_between, known_above_chance
from grpo_job.evaluation.chance import one_form
from grpo_job.evaluation.measure import SHARES

ALIKE, KNOWN = "answers_alike", "answers_above_chance"  # see `alike_between` and `known_above_chance`
STEPS, PROMPTS = 10, 80  # that a window has at least: over fewer, good runs look alike
READ = 4  # answers of each prompt that are read: more prompts say more than more answers of one


class _Step(NamedTuple):
    number: int
    groups: list[Group]


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
        groups = [group for step in self.window for group in step.groups]
        alike = alike_between(groups)
        return {} if alike is None else {ALIKE: alike, KNOWN: known_above_chance(groups)}

    def _by_prompt(self, completions: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str | None, list[Any]]]:
        for key, rows in groupby(completions, lambda row: _key(row["prompt"])):
            yield self.golds.get(key), list(rows)

    def _group(self, gold: str, rows: Sequence[Mapping[str, Any]]) -> Group:
        form = one_form(gold)
        return Group(form, tuple(self._answer(row, form) for row in rows[:READ]))

    def _answer(self, row: Mapping[str, Any], gold: str) -> str:
        """The answer in one form; where a reward found it right, the gold's."""
        if any(row["rewards"].get(name) == 1.0 for name in SHARES):
            return gold
        return one_form(self.read(row["completion"]) or row["completion"])


def by_step(completions: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, list[Mapping[str, Any]]]]:
    """The lines of `completions.jsonl` a step."""
    return ((step, list(rows)) for step, rows in groupby(completions, itemgetter("step")))


def _is_enough(window: Sequence[_Step]) -> bool:
    steps = window[-1].number - window[0].number + 1
    return steps >= STEPS and sum(len(step.groups) for step in window) >= PROMPTS


def _key(prompt: Any) -> str:
    return json.dumps(prompt, sort_keys=True)
