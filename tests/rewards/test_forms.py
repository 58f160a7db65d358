"""Rewards for letters, texts, yes and no, and a block of thought, at the edges that their examples leave out."""

import pytest

from grpo_job.rewards import MENU


@pytest.mark.parametrize(
    ("name", "completion", "answer", "paid"),
    [
        ("choice", "A is wrong, so the answer is B", "(b)", 1.0),
        ("choice", "<think>A or C?</think> C", "C", 1.0),
        ("choice", "<think>A or C", "C", 0.0),
        ("choice", "<think><answer>A</answer>?</think> C", "C", 1.0),
        ("correct", "<think><answer>4</answer>?</think><answer>5</answer>", "4", 0.0),
        ("correct", "<think><answer>4</answer>", "4", 0.0),
        ("correct_anywhere", "<think>4, or", "4", 0.0),
        ("correct_anywhere", "<think>\\boxed{4}?</think>It is 5.", "4", 0.0),
        ("correct_anywhere", "hm, 4?</think>It is 5.", "5", 1.0),
        ("choice", "Because", "B", 0.0),
        ("choice", "", "B", 0.0),
        ("choice", "Vitamin B12", "B", 0.0),
        ("choice", "The answer is B, I think.", "B", 1.0),
        ("choice", "The answer is I.", "I", 1.0),
        ("choice", "I is correct", "I", 1.0),
        ("choice", "The answer is B, not A.", "B", 1.0),
        ("choice", "It is B (not (A)).", "B", 1.0),
        ("choice", "It is not A.", "A", 0.0),
        ("choice", "B", "B) Paris", 1.0),
        ("choice", "The answer is (A).", "B. Paris", 0.0),
        ("choice", "<answer>B) Vitamin C</answer>", "B", 1.0),
        ("choice", "<answer>B) Vitamin C</answer>", "C", 0.0),
        ("choice", "<answer>b</answer>", "B", 1.0),
        ("choice", "(A) is wrong, so the answer is B", "B", 1.0),
        ("choice", "A) Rome B) Paris", "B", 1.0),
        ("choice", "<answer>2</answer>", "2", 1.0),
        ("choice", "2) 5 apples", "2", 1.0),
        ("choice", "2) 5 apples", "5", 0.0),
        ("choice", "1) is wrong, so the answer is (3).", "3", 1.0),
        ("choice", "2.5", "2", 0.0),
        ("exact", "4", " 4 ", 1.0),
        ("exact", "", "4", 0.0),
        ("one_of", "<answer>Usa!</answer>", "USA", 1.0),
        ("one_of", "**Paris**.", "Paris", 1.0),
        ("one_of", '<answer>"Paris."</answer>', "Rome|paris", 1.0),
        ("one_of", '""', "USA|", 0.0),
        ("one_of", "", "USA", 0.0),
        ("one_of", "", "USA|", 0.0),
        ("one_of", "Washington D.C.", "Washington D.C.|Washington", 1.0),
        ("one_of", "<answer>東京。</answer>", "東京", 1.0),
        ("yes_no", "<answer>no</answer>", "false", 1.0),
        ("yes_no", "Nothing", "no", 0.0),
        ("yes_no", "It is not true.", "true", 0.0),
        ("yes_no", "It is not true.", "false", 1.0),
        ("yes_no", "The answer isn't yes.", "no", 1.0),
        ("think_format", "<think></think>4", "4", 0.0),
        ("think_format", "<think>a</think>", "4", 0.0),
        ("think_format", "<think>a</think><think>b</think>4", "4", 0.0),
        ("repetition_penalty", "", "4", 0.0),
    ],
)
def test_what_each_pays(name: str, completion: str, answer: str, paid: float) -> None:
    from grpo_job.rewards import as_trl_function, load

    assert as_trl_function(load([(name, 1.0)])[0])(completions=[completion], answer=[answer]) == [paid]


def test_all_are_on_the_menu() -> None:
    assert {"soft_overlong", "cosine_length"} <= MENU.keys()
