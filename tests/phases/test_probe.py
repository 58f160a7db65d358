"""The probe before step 1: whether the base gives the rewards anything to choose between."""

from collections.abc import Sequence
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.phases.probe import Probe, chosen, sample
from grpo_job.rewards import answers
from grpo_job.settings.schema import Settings

SETTINGS = Settings(num_generations=4, max_completion_length=20, temperature=0.9, probe_prompts=3)
ROWS = [{"prompt": [{"role": "user", "content": str(n)}], "answer": str(n)} for n in range(10)]
PAID = [(rewards.as_trl_function(reward), reward.weight) for reward in rewards.load([("correct", 2.0)])]


class Base:
    """Answers each prompt with the completions that it is told."""

    def __init__(self, *completions: str) -> None:
        self.completions = completions
        self.asked: list[dict[str, Any]] = []

    def __call__(self, prompts: Sequence[Any], **how: Any) -> list[list[str]]:
        self.asked.append({"prompts": [prompt[0]["content"] for prompt in prompts], **how})
        return [[text.format(prompt[0]["content"]) for text in self.completions] for prompt in prompts]


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def right(completion: str, gold: str) -> bool:
    return answers.correct(completion, gold) == 1.0


def probed(base: Base, settings: Settings = SETTINGS) -> Probe:
    return sample(base, chosen(ROWS, settings), PAID, right, words, settings)


RIGHT, WRONG = "<answer>{0}</answer>", "<answer>never</answer>"


def test_it_samples_as_training_does_over_rows_from_everywhere() -> None:
    base = Base(RIGHT, WRONG, WRONG, WRONG)
    probed(base)
    assert base.asked[0]["prompts"] == ["0", "3", "6"]
    assert (base.asked[0]["samples"], base.asked[0]["temperature"], base.asked[0]["max_tokens"]) == (4, 0.9, 20)


def test_it_cuts_the_distribution_as_training_does_and_leaves_what_is_not_given_to_the_engine() -> None:
    base, cuts = Base(RIGHT), {"top_p": 0.9, "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2}
    probed(base)
    assert not set(base.asked[0]) & set(cuts)
    further = {"min_tokens": 3, "logit_bias": {"7": 1}}
    given = {**cuts, "beta": 0.04, "generation_kwargs": further}
    probed(base, SETTINGS.model_copy(update={"grpo_config": given}))
    assert {name: base.asked[1].get(name) for name in cuts} == cuts
    assert base.asked[1]["further"] == {"min_tokens": 3, "logit_bias": {7: 1.0}}
    assert "beta" not in base.asked[1]


def test_groups_with_spread_are_counted_with_accuracy_length_and_cuts() -> None:
    found = probed(Base(RIGHT, WRONG, "word " * 20, WRONG))
    assert found == Probe(groups=3, with_spread=3, reward=0.5, best=2.0, accuracy=0.25, length=5.75, clipped=0.25)
    assert found.hopeless(SETTINGS) is None
    assert (
        found.sentence()
        == "3 of 3 groups have a non-zero reward std, mean reward 0.5, accuracy 25.0%, 6 tokens, 25% truncated"
    )


def test_a_base_that_is_never_right_is_hopeless_with_the_usual_cures() -> None:
    said = probed(Base(*[WRONG] * 4)).hopeless(SETTINGS) or ""
    assert said.startswith("before step 1 all 3 groups of 4 completions had zero reward std")
    assert "GRPO_REWARDS" in said


def test_a_base_that_is_always_right_is_told_so() -> None:
    assert "already solves these rows" in (probed(Base(*[RIGHT] * 4)).hopeless(SETTINGS) or "")


def test_a_base_that_is_always_cut_is_told_so() -> None:
    said = probed(Base(*["word " * 20] * 4)).hopeless(SETTINGS) or ""
    assert "raise GRPO_MAX_COMPLETION_LENGTH (now 20)" in said


def test_what_cannot_be_graded_adds_nothing() -> None:
    ungraded = [(lambda completions, **_columns: [None] * len(completions), 1.0)]
    assert sample(Base(RIGHT), ROWS[:2], ungraded, right, words, SETTINGS).with_spread == 0


def test_a_completion_that_no_reward_grades_is_left_out_and_is_no_zero() -> None:
    partly = [(lambda completions, **columns: [None, *[1.0] * (len(completions) - 1)], 2.0)]
    found = sample(Base(RIGHT, RIGHT), ROWS[:2], partly, right, words, SETTINGS)
    assert (found.with_spread, found.reward, found.best) == (0, 2.0, 2.0)


@pytest.mark.parametrize(("prompts", "number"), [(0, 0), (3, 3), (10, 10), (99, 10)])
def test_as_many_rows_are_chosen_as_there_are_each_once(prompts: int, number: int) -> None:
    picked = chosen(ROWS, SETTINGS.model_copy(update={"probe_prompts": prompts}))
    assert len({row["answer"] for row in picked}) == len(picked) == number
