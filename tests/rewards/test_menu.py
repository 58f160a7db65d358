"""Rewards are chosen by name, and called by TRL as batches; one that fails stops the run and is named."""

import inspect
import math
import re
import signal
import time
from fractions import Fraction
from pathlib import Path

import pytest

from grpo_job.evaluation.measure import choose
from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import MENU, Reward, RewardFailed, as_trl_function, load
from grpo_job.rewards.custom import RewardFunction

DEFAULT = [("correct", 2.0), ("format_tags", 0.5), ("tag_count", 0.5)]
TUTORIAL = [(name, 1.0) for name in ("xmlcount", "soft_format", "strict_format", "int", "correctness")]
LONG_REASONING = "\n".join(f"Step {n}: {n} + {n} = {2 * n}." for n in range(2000))


def total(names: list[tuple[str, float]], completion: str, answer: str) -> float:
    return sum(reward.weight * (reward.function(completion, answer) or 0.0) for reward in load(names))


def shaped(answer: str, reasoning: str = "48 / 2 = 24\n48 + 24 = 72") -> str:
    return f"<reasoning>\n{reasoning}\n</reasoning>\n<answer>\n{answer}\n</answer>\n"


def call(function: RewardFunction, *completions: object, timeout: float | None = None) -> list[float | None]:
    """As TRL calls it, with every column of the rows and what the trainer adds."""
    return as_trl_function(Reward("mine", 1.0, function), timeout)(
        prompts=[[{"role": "user", "content": "?"}]] * len(completions),
        completions=list(completions),
        completion_ids=[[1, 2, 3]] * len(completions),
        answer=["72"] * len(completions),
        question=["?"] * len(completions),
        trainer_state=object(),
        log_extra=print,
    )


# --- what the default rewards mend


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (shaped("72"), "72"),
        (shaped("72", "one line"), "72"),
        (shaped("72").replace("\n", ""), "72"),
        (shaped("1,000"), "1000"),
        (shaped("1000"), "1,000"),
        (shaped("$72"), "72"),
        (shaped("72.00"), "72"),
        (shaped("-3"), "-3"),
        (shaped("72", LONG_REASONING), "72"),
    ],
)
def test_a_perfect_answer_in_the_format_earns_full_marks(completion: str, answer: str) -> None:
    assert total(DEFAULT, completion, answer) == 3.0


def test_right_out_of_format_beats_wrong_in_format() -> None:
    right, wrong = "It is <answer>72</answer>.", shaped("71")
    assert total(DEFAULT, right, "72") > total(DEFAULT, wrong, "72") > total(DEFAULT, "no idea", "72")


def test_the_tutorials_recipe_loads_with_its_names() -> None:
    assert [reward.name for reward in load(TUTORIAL)] == [name for name, _ in TUTORIAL]


@pytest.mark.parametrize("name", MENU)
def test_every_reward_of_the_menu_says_what_it_pays_with_an_example(name: str) -> None:
    documentation = inspect.getdoc(MENU[name]) or ""
    assert documentation.startswith("Pays ")
    assert ">>> " in documentation


# --- choosing


def test_a_misspelt_name_is_refused_with_the_nearest_and_all_accepted() -> None:
    with pytest.raises(InvalidRun) as refused:
        load([("corect", 2.0)])
    assert "did you mean 'correct'?" in str(refused.value)
    assert all(name in str(refused.value) for name in MENU)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidRun) as refused:
        load([("corect", 2.0), ("int", 1.0), ("int", 0.5), ("nowhere.reward", 1.0)])
    assert len(refused.value.faults) == 3
    assert "two rewards are named 'int'" in str(refused.value)


def test_a_dotted_path_may_not_take_a_name_of_the_menu_twice() -> None:
    with pytest.raises(InvalidRun, match="two rewards are named 'correct'"):
        load([("correct", 2.0), ("grpo_job.rewards.answers.correct", 1.0)])


@pytest.mark.parametrize("name", ["correct", "choice", "exact"])
def test_an_own_reward_does_not_decide_the_measure_by_its_name(name: str, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(f"def {name}(completion, answer):\n    return 0.25\n")
    rewards = load([(f"{own}::{name}", 1.0), (name, 1.0)])
    assert [reward.name for reward in rewards] == [f"own_{name}", name]
    measure = choose("auto", [(rewards[0].name, 1.0)], golds=True)
    assert measure.name == f"reward own_{name}"
    assert not measure.reads_answers
    assert [reward.name for reward in load([(f"grpo_job.rewards.{name}", 1.0)])] == [name]


def test_no_reward_at_all_is_refused() -> None:
    with pytest.raises(InvalidRun, match="no reward"):
        load([])


# --- as TRL calls them


def test_chat_and_plain_completions_are_graded_alike() -> None:
    chat = [{"role": "assistant", "content": shaped("72")}]
    assert call(MENU["correct"], chat, shaped("72"), "72") == [1.0, 1.0, 0.0]


def test_the_name_is_the_one_that_metrics_get() -> None:
    for reward in load(TUTORIAL):
        assert as_trl_function(reward).__name__ == reward.name


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_numbers_and_truths_become_floats_and_none_stays(timeout: float | None) -> None:
    answers = iter([True, 1, 0.5, Fraction(1, 4), None])
    scores = call(lambda completion, answer: next(answers), *"abcde", timeout=timeout)  # type: ignore[arg-type,return-value]
    assert scores == [1.0, 1.0, 0.5, 0.25, None]
    assert all(score is None or type(score) is float for score in scores)


@pytest.mark.parametrize("returned", [math.nan, math.inf, "1.0", [1.0], 1j, object()])
def test_what_is_no_finite_number_stops_the_run(returned: object) -> None:
    with pytest.raises(RewardFailed, match=r"reward 'mine' returned .* neither a finite number nor None"):
        call(lambda completion, answer: returned, "a completion")  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(0), AssertionError()])
def test_a_reward_that_raises_stops_the_run_and_is_named(error: BaseException, timeout: float | None) -> None:
    def raises(completion: str, answer: str) -> float:
        if completion == "the bad one":
            raise error
        return 1.0

    with pytest.raises(RewardFailed) as failed:
        call(raises, "a good one", "the bad one", timeout=timeout)
    assert failed.value.__cause__ is error
    assert failed.value.outcome().code == 4
    for told in ("'mine'", type(error).__name__, str(error), "'the bad one'", "'72'"):
        assert told in str(failed.value)


def test_a_long_completion_is_told_shortened() -> None:
    with pytest.raises(RewardFailed) as failed:
        call(lambda completion, answer: math.nan, "begins " + "x" * 100_000 + " ends")
    assert 500 < len(str(failed.value)) < 800
    assert "begins" in str(failed.value)
    assert "ends" in str(failed.value)


def test_a_reward_that_hangs_is_cut_and_named_with_its_completion() -> None:
    def hangs(completion: str, answer: str) -> float:
        if len(completion) > 1:
            signal.setitimer(signal.ITIMER_REAL, 0.01)  # the batch's own time would be over sooner on a busy machine
        return 1.0 if re.match(r"(a+)+$", completion) else 0.0

    with pytest.raises(RewardFailed, match=r"reward 'mine' did not end in time .*'a{40}b'"):
        call(hangs, "a", "b", "a" * 40 + "b", "c", timeout=60)


def test_a_batch_that_is_slow_in_all_is_cut_too() -> None:
    def slow(completion: str, answer: str) -> float:
        time.sleep(0.05)
        return 1.0

    with pytest.raises(RewardFailed, match="did not end in time"):
        call(slow, *"abcdefgh", timeout=0.2)
    assert call(slow, "a", "b", timeout=60) == [1.0, 1.0]


def test_completions_and_answers_that_do_not_pair_up_are_an_error() -> None:
    function = as_trl_function(Reward("correct", 1.0, MENU["correct"]))
    with pytest.raises(ValueError, match="shorter"):
        function(completions=["a", "b"], answer=["72"])


def test_a_reward_of_the_menu_is_shown_the_opening_that_the_prompt_ended_with() -> None:
    said = "48 + 24\n</reasoning>\n<answer>\n72\n</answer>"
    mine = Reward("mine", 1.0, lambda completion: float(completion == said), own=True, opening="<reasoning>")
    format_tags = Reward("format_tags", 1.0, MENU["format_tags"], opening="<reasoning>")
    for reward in (mine, format_tags):
        assert as_trl_function(reward)(completions=[said], answer=["72"]) == [1.0]
    assert as_trl_function(format_tags)(completions=[f"<reasoning>{said}"], answer=["72"]) == [1.0]


@pytest.mark.parametrize("own", [True, False])
def test_the_completion_that_it_fails_on_is_named(own: bool) -> None:
    function = as_trl_function(Reward("mine", 1.0, lambda completion, answer: 1.0 / (completion != "c"), own=own), 5.0)
    with pytest.raises(RewardFailed, match=r"on the completion 'c' \(answer '3'\)"):
        function(completions=["a", "b", "c", "d"], answer=["1", "2", "3", "4"])
