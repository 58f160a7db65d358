"""The probe before step 1: whether the base gives the rewards anything to choose between."""

from collections.abc import Sequence
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.evaluation.completion import Completion
from grpo_job.phases.no_signal import Longer, Probe
from grpo_job.phases.probe import Judge, better_than, chosen, look_further, others, sample
from grpo_job.rewards import answers
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings

SETTINGS = Settings(num_generations=4, max_completion_length=20, temperature=0.9, probe_prompts=3)
ROWS = [{"prompt": [{"role": "user", "content": str(n)}], "answer": str(n)} for n in range(10)]
PAID = [(rewards.as_trl_function(reward), reward.weight) for reward in rewards.load([("correct", 2.0)])]


class Base:
    """Answers each prompt with the completions that it is told."""

    def __init__(self, *completions: str) -> None:
        self.completions = completions
        self.asked: list[dict[str, Any]] = []

    def __call__(self, prompts: Sequence[Any], **how: Any) -> list[list[Completion]]:
        self.asked.append({"prompts": [prompt[0]["content"] for prompt in prompts], **how})
        return [[said(text.format(prompt[0]["content"]), how) for text in self.completions] for prompt in prompts]


def said(text: str, how: dict[str, Any]) -> Completion:
    """With a token for each word and one for its end, where it comes to one."""
    words = len(text.split())
    return Completion(text, min(words + 1, how["max_tokens"]), truncated=words >= how["max_tokens"])


def judge(*paid: Any) -> Judge:
    return Judge(paid or PAID, right_by(answers.correct_anywhere), right_by(answers.correct), answers.last_answer)


def right_by(reward: Any) -> Any:
    return lambda completion, gold: reward(completion, gold) == 1.0


def paying(text: str) -> Any:
    return [(rewards.as_trl_function(one), one.weight) for one in rewards.load([(text, 1.0)])]


def probed(base: Base, settings: Settings = SETTINGS, paid: Sequence[Any] = (), rows: Any = ROWS) -> Probe:
    return sample(base, chosen(rows, settings), judge(*paid), settings)


def why(base: Base, settings: Settings = SETTINGS, paid: Sequence[Any] = (), rows: Any = ROWS) -> str:
    said = probed(base, settings, paid, rows).hopeless(settings)
    assert said
    assert said.startswith("before step 1 all 3 groups of 4 completions had zero reward std")
    return said.partition("): ")[2]


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
    found = probed(Base(RIGHT, WRONG, "{0}" + " word" * 19, WRONG))
    assert found == Probe(
        groups=3,
        with_spread=3,
        reward=0.5,
        best=2.0,
        accuracy=0.5,
        in_tags=0.25,
        lacks_format=False,
        length=6.5,
        clipped=0.25,
    )
    assert found.hopeless(SETTINGS) is None
    assert found.sentence() == (
        "3 of 3 groups have a non-zero reward std, mean reward 0.5, accuracy 50.0% (25.0% in tags), 6 tokens, "
        "25% truncated"
    )


@pytest.mark.parametrize("completions", [("It is {0}.",) * 4, ("It is {0}.", "never", "never", "never")])
def test_right_answers_that_are_never_in_the_tags_are_told_with_the_format_as_the_cure(
    completions: Sequence[str],
) -> None:
    said = why(Base(*completions))
    assert "have the right answer, but none has it in <answer> tags" in said
    assert "as GRPO_EXAMPLE" in said
    assert "GRPO_REWARDS=correct_anywhere:2" in said


@pytest.mark.parametrize(("completion", "further"), [(RIGHT, 0), (WRONG, 0), ("It is {0}.", 1)])
def test_the_rewards_are_asked_about_tags_only_where_no_answer_is_in_them_and_until_one_earns(
    completion: str, further: int
) -> None:
    asked = list[int]()

    def counted(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        asked.append(len(completions))
        return PAID[0][0](completions=completions, **columns)

    probed(Base(*[completion] * 4), paid=[(counted, 1.0)])
    assert asked == [4, 4, 4, *[2] * further]


def test_a_base_that_is_never_right_is_told_so_whether_it_writes_tags_or_not() -> None:
    for wrong in (WRONG, "never"):
        assert why(Base(*[wrong] * 4)).startswith("no completion has the right answer, in tags or elsewhere")


def test_a_start_adapter_that_is_always_right_is_not_called_the_base() -> None:
    seen = Probe(8, 0, 2.0, 2.0, 1.0, 1.0, False, 9.0, 0.0)
    told = [seen.hopeless(resolve(given).settings) or "" for given in ({}, {"GRPO_ADAPTER": "hf://a/b"})]
    assert "the base already solves these rows" in told[0]
    assert "the start adapter already solves these rows" in told[1]


def test_a_base_that_is_always_right_is_told_so() -> None:
    assert "already solves these rows" in why(Base(*[RIGHT] * 4))


def test_rewards_that_do_not_tell_right_from_wrong_are_the_reason_where_tags_would_not_earn_more() -> None:
    said = why(Base("It is {0}.", "never", "never", "never"), paid=paying("think_format"))
    assert said.startswith("GRPO_REWARDS pays every completion the same, though 25.0% of them have the right answer")


def test_rows_without_answers_are_not_called_wrong() -> None:
    without = [{**row, "answer": ""} for row in ROWS]
    assert why(Base("never"), paid=paying("think_format"), rows=without).startswith(
        "GRPO_REWARDS pays every completion the same: check each reward"
    )


def test_prompts_that_are_always_or_never_answered_well_need_larger_groups() -> None:
    class Sometimes(Base):
        def __call__(self, prompts: Sequence[Any], **how: Any) -> list[list[Completion]]:
            return [[said(RIGHT.format("0") if n == 0 else WRONG, how)] * 4 for n, _ in enumerate(prompts)]

    assert "raise GRPO_NUM_GENERATIONS (now 4)" in why(Sometimes())
    assert "zero reward std (they earned 0.667 on average): " in (probed(Sometimes()).hopeless(SETTINGS) or "")
    assert "zero reward std (each earned 2): " in (probed(Base(*[RIGHT] * 4)).hopeless(SETTINGS) or "")


FEW = Probe(16, 3, 0.02, 1.0, 0.01, 0.0, False, 300.0, 0.2)


@pytest.mark.parametrize(
    ("probe", "cure"),
    [(FEW, "learn the rows' solutions first"), (FEW._replace(accuracy=0.97), "use harder rows")],
)
def test_where_few_groups_have_a_signal_that_is_told_with_what_helps(probe: Probe, cure: str) -> None:
    said = probe.faint(SETTINGS)
    assert said is not None
    assert said.startswith("before step 1 only 3 of 16 groups of 4 completions had a non-zero reward std")
    assert cure in said


@pytest.mark.parametrize(
    ("probe", "settings"),
    [
        (FEW._replace(with_spread=4), SETTINGS),
        (FEW._replace(with_spread=0), SETTINGS),
        (FEW, SETTINGS.model_copy(update={"warm_start_steps": 60})),
    ],
    ids=["enough", "none", "before a warm start"],
)
def test_else_it_is_not(probe: Probe, settings: Settings) -> None:
    assert probe.faint(settings) is None


NEVER = Probe(64, 0, 0.0, 0.0, 0.0, 0.0, False, 165.0, 0.07)


def answered(*earned: float | None) -> list[dict[str, Any]]:
    return [{"rewards": {"correct": score}} for score in earned]


def test_held_out_answers_that_earn_more_than_the_probes_are_counted_by_what_the_run_pays() -> None:
    chosen_rewards = rewards.load([("correct", 2.0)])
    records = answered(1.0, 0.0, None, 0.5)
    assert better_than(NEVER, records, chosen_rewards) == 2
    assert better_than(NEVER._replace(best=1.0), records, chosen_rewards) == 1
    assert better_than(NEVER._replace(best=2.0), records, chosen_rewards) == 0


def test_a_base_whose_held_out_answers_earn_more_is_told_of_a_rare_signal_and_not_given_up() -> None:
    said = NEVER.rare(SETTINGS, 21, 500) or ""
    assert said.startswith(
        "before step 1 all 64 groups of 4 completions had zero reward std (each earned 0), but 21 of 500"
    )
    assert "GRPO_WARM_START_STEPS" in said


@pytest.mark.parametrize(
    ("seen", "better"),
    [
        (NEVER, 0),
        (NEVER._replace(with_spread=1), 21),
        (NEVER._replace(clipped=0.9), 21),
        (NEVER._replace(reward=0.5, best=1.0), 21),
        (NEVER._replace(accuracy=0.1, lacks_format=True), 21),
    ],
    ids=["none earns more", "a signal", "all truncated", "always or never right", "right without the format"],
)
def test_no_other_base_is_told_of_a_rare_signal(seen: Probe, better: int) -> None:
    assert seen.rare(SETTINGS, better, 500) is None


class Talking(Base):
    """Ends after so many words, where it may."""

    def __init__(self, length: int) -> None:
        super().__init__("")
        self.length = length

    def __call__(self, prompts: Sequence[Any], **how: Any) -> list[list[Completion]]:
        self.asked.append(how)
        size = min(self.length, how["max_tokens"])
        return [[said("word " * size, how)] * how["samples"] for _ in prompts]


def test_a_base_that_is_always_truncated_is_told_the_length_that_would_fit() -> None:
    base = Talking(300)
    longer = look_further(base, chosen(ROWS, SETTINGS), SETTINGS)
    assert longer == Longer(limit=768, asked=3, ended=3, fits=301)
    assert (base.asked[0]["samples"], base.asked[0]["temperature"]) == (1, 0.9)
    said = probed(base).hopeless(SETTINGS, longer) or ""
    assert "100% were truncated: raise GRPO_MAX_COMPLETION_LENGTH (now 20) to 301" in said


def test_where_even_the_longest_sequence_is_too_short_that_setting_is_named_too() -> None:
    base = Talking(10_000)
    said = probed(base).hopeless(SETTINGS, look_further(base, chosen(ROWS, SETTINGS), SETTINGS)) or ""
    assert "beyond 768, within which only 0 of 3 completions ended, and with it GRPO_MAX_SEQ_LENGTH (now 1024)" in said
    full = SETTINGS.model_copy(update={"max_seq_length": 276})
    assert look_further(base, chosen(ROWS, full), full) is None
    assert "and with it GRPO_MAX_SEQ_LENGTH (now 276)" in (probed(base).hopeless(full) or "")


def test_what_cannot_be_graded_adds_nothing() -> None:
    ungraded = [(lambda completions, **_columns: [None] * len(completions), 1.0)]
    found = sample(Base(RIGHT), ROWS[:2], judge(*ungraded), SETTINGS)
    assert found.with_spread == 0
    assert "zero reward std (none was graded): every reward paid None" in (found.hopeless(SETTINGS) or "")


def test_a_completion_that_no_reward_grades_is_left_out_and_is_no_zero() -> None:
    partly = [(lambda completions, **columns: [None, *[1.0] * (len(completions) - 1)], 2.0)]
    found = sample(Base(RIGHT, RIGHT), ROWS[:2], judge(*partly), SETTINGS)
    assert (found.with_spread, found.reward, found.best, found.ungraded) == (0, 2.0, 2.0, 0.5)


class Rare(Base):
    """Right in one completion of the prompts that are named, else never."""

    def __init__(self, *known: str) -> None:
        super().__init__()
        self.known = known

    def __call__(self, prompts: Sequence[Any], **how: Any) -> list[list[Completion]]:
        super().__call__(prompts, **how)
        asked = [prompt[0]["content"] for prompt in prompts]
        first = [RIGHT.format(text) if text in self.known else WRONG for text in asked]
        return [[said(text, how), *[said(WRONG, how)] * 3] for text in first]


@pytest.mark.parametrize(
    ("known", "asked", "groups", "differ"),
    [
        (("3", "7"), ["0 3 6"], 3, 1),
        (("7",), ["0 3 6", "1 2 4 5 7 8 9"], 10, 1),
        ((), ["0 3 6", "1 2 4 5 7 8 9"], 10, 0),
    ],
    ids=["a signal at once", "one further on", "none"],
)
def test_a_base_is_hopeless_only_where_further_prompts_have_no_signal_either(
    known: Sequence[str], asked: Sequence[str], groups: int, differ: int
) -> None:
    base = Rare(*known)
    found = sample(base, chosen(ROWS, SETTINGS), judge(), SETTINGS, others(ROWS, SETTINGS))
    assert [" ".join(each["prompts"]) for each in base.asked] == asked
    assert (found.groups, found.with_spread) == (groups, differ)
    assert found.accuracy == differ / (4 * groups)
    assert bool(found.hopeless(SETTINGS)) == (differ == 0)


def test_no_reward_is_asked_twice_about_a_completion() -> None:
    graded = list[str]()

    def counted(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        graded.extend(columns["answer"])
        return PAID[0][0](completions=completions, **columns)

    rows = others(ROWS, SETTINGS)
    sample(Base(WRONG), chosen(ROWS, SETTINGS), judge((counted, 1.0)), SETTINGS, rows)
    assert sorted(graded) == [row["answer"] for row in ROWS]


@pytest.mark.parametrize(("prompts", "number"), [(0, 0), (1, 3), (3, 7), (10, 0), (99, 0)])
def test_three_times_as_many_others_are_none_of_the_chosen(prompts: int, number: int) -> None:
    settings = SETTINGS.model_copy(update={"probe_prompts": prompts})
    first, further = ({row["answer"] for row in pick(ROWS, settings)} for pick in (chosen, others))
    assert len(further) == number
    assert not first & further


@pytest.mark.parametrize(("prompts", "number"), [(0, 0), (3, 3), (10, 10), (99, 10)])
def test_as_many_rows_are_chosen_as_there_are_each_once(prompts: int, number: int) -> None:
    picked = chosen(ROWS, SETTINGS.model_copy(update={"probe_prompts": prompts}))
    assert len({row["answer"] for row in picked}) == len(picked) == number
