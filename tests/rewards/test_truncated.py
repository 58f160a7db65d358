"""What rewards pay where the limit ended the completion: nothing for the answer that was asked for."""

from pathlib import Path

import pytest

from grpo_job.evaluation.completion import Completion, Truncated
from grpo_job.phases import evaluate
from grpo_job.rewards import MENU, Reward, as_trl_function, load
from grpo_job.rewards.asking import PAY_THE_ENDED, READ_NO_ANSWER
from grpo_job.settings.reader import resolve

TEXTS = {"correct": ("<answer>72</answer> and", "72"), "choice": ("(B), for", "B"), "exact": ("ja", "ja")}
TEXTS |= {"one_of": ("ja", "ja|yes"), "yes_no": ("Yes, for", "yes")}
OTHERS = ("correct_anywhere", "correctness")


def paid(name: str, text: str, answer: str) -> float | None:
    message = [{"role": "assistant", "content": text}]
    [score] = as_trl_function(Reward(name, 1.0, MENU[name]))(completions=[message], answer=[answer])
    return score


def test_each_reward_for_an_answer_is_one_or_the_other() -> None:
    assert set(MENU) == READ_NO_ANSWER | PAY_THE_ENDED | set(OTHERS)
    assert set(TEXTS) == PAY_THE_ENDED - {"cosine_length"}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_answer_that_was_asked_for_is_paid_once_the_completion_has_ended(name: str) -> None:
    text, answer = TEXTS[name]
    assert [paid(name, text, answer), paid(name, Truncated(text), answer)] == [1.0, 0.0]


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_paid_for_what_was_said_so_far(name: str) -> None:
    text = "<answer>72</answer> and"
    assert paid(name, Truncated(text), "72") == paid(name, text, "72")
    assert paid(name, text, "72")


def test_a_truncated_completion_has_the_length_that_it_has() -> None:
    cosine = as_trl_function(Reward("cosine_length", 1.0, MENU["cosine_length"]))
    text, ids = "<answer>72</answer>", range(512)
    told = cosine(completions=[text, Truncated(text)], answer=["72", "72"], completion_ids=[ids, ids])
    assert told == [0.5, -0.5]  # right and wrong, at the limit


def test_without_an_answer_it_cannot_be_graded_either_way() -> None:
    assert paid("correct", "72", "") is paid("correct", Truncated("72"), "") is None


def test_an_own_reward_gets_the_text(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def long(completion):\n    return len(completion)\n", encoding="utf-8")
    [reward] = load([(f"{tmp_path}/mine.py::long", 1.0)])
    assert as_trl_function(reward)(completions=[Truncated("four")]) == [4.0]


def test_an_evaluation_reads_truncated_completions_as_it_reads_others() -> None:
    """That answers end is no ability: the verdict must not count it as one."""
    [reward] = load([("choice", 1.0)])
    asked = evaluate.graded_by(resolve({"GRPO_RECIPE": "smoke"}).settings, [reward])["choice"]
    said = [Completion("(B), for", 4, truncated=cut).said for cut in (False, True)]
    row = {"question": "?", "prompt": [], "answer": "B"}
    assert asked(said, [row, row]) == [1.0, 1.0]
