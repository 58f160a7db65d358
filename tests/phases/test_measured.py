"""What a run says of policies whose truth is known: through the phases that ask, judge and report, without training."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job import reports, rewards
from grpo_job.evaluation.completion import Completion
from grpo_job.inputs import sample
from grpo_job.phases import evaluate
from grpo_job.phases.attempt import Attempt
from grpo_job.run_folder.files import read_json
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve
from tests.evaluation.test_completion import ended

Answer = Callable[[int], str]
OWN = '''
"""Pays for a last line of its own shape."""


def ends_with_done(completion: str, answer: str) -> float:
    """1 for an answer that ends with DONE."""
    return float(completion.endswith("DONE"))
'''


class Policy:
    """Answers each prompt by its number, one way without the adapter and another with it."""

    def __init__(self, off: Answer, on: Answer) -> None:
        self.answers = {"off": off, "on": on}

    def generate(self, prompts: list[Any], *, adapter: str, **_: Any) -> list[list[Completion]]:
        return [[ended(self.answers[adapter](int(prompt[0]["content"])))] for prompt in prompts]


def judged(folder: Path, policy: Policy, golds: list[str], **variables: str) -> dict[str, Any]:
    """`evaluation.json` of a run of that policy, with its summary and report written."""
    given = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run"}
    resolved = resolve({**given, **{f"GRPO_{name}": value for name, value in variables.items()}})
    attempt = Attempt(resolved.settings, Interruption())
    attempt.folder.open()
    attempt.write_settings(resolved.origins)
    rows = [
        {"prompt": [{"role": "user", "content": str(n)}], "question": f"question {n}", "answer": gold}
        for n, gold in enumerate(golds)
    ]
    rows = [{**row, "answers": [row["answer"]], "columns": "{}"} for row in rows]
    chosen = rewards.load(resolved.settings.rewards, resolved.settings.reward_path)
    checked: Any = SimpleNamespace(
        rows=SimpleNamespace(held_out=rows), rewards=chosen, base=SimpleNamespace(folder=sample.MODEL)
    )
    engine: Any = policy
    before, after = (evaluate.evaluate(attempt, engine, checked, adapter=side) for side in ("off", "on"))
    evaluate.judge(attempt, checked, before, after)
    attempt.summary.write()
    reports.build([attempt.folder.path])
    return read_json(attempt.folder.verdict)


def word(number: int) -> str:
    """Another word for each number: texts that differ in numbers alone count as one."""
    return str(number).translate(str.maketrans("0123456789", "abcdefghij"))


def tagged(answer: str) -> str:
    return f"<reasoning>\nI know.\n</reasoning>\n<answer>\n{answer}\n</answer>"


def test_a_base_that_is_right_without_tags_and_only_learns_the_tags_has_learned_the_format(tmp_path: Path) -> None:
    golds = [str(number % 40) for number in range(120)]
    known: Answer = lambda n: golds[n] if n % 3 else "999"  # noqa: E731
    policy = Policy(off=lambda n: f"I think the answer is {known(n)}.", on=lambda n: tagged(known(n)))
    found = judged(tmp_path, policy, golds)
    assert found["verdict"] == "no evidence of a change"
    assert found["notes"][0] == "the format was learned; no evidence that more answers are right"
    assert (found["correct"]["before"], found["format"]["after"]) == (0.0, 1.0)
    assert found["primary"]["before"] == found["primary"]["after"] == pytest.approx(2 / 3)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert page.index("No evidence of a change") < page.index("the format was learned; no evidence") < page.index("<h2")


def test_an_own_reward_for_a_format_without_tags_has_its_own_verdict(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    golds = [str(number % 40) for number in range(120)]
    policy = Policy(off=lambda n: "I do not know.", on=lambda n: f"{word(n)} DONE" if n % 10 else "I do not know.")
    found = judged(tmp_path, policy, golds, REWARDS=f"{tmp_path}/own.py::ends_with_done:1")
    assert found["verdict"] == "improved"
    assert found["measure"]["name"] == "reward ends_with_done"
    assert found["primary"]["after"] == pytest.approx(0.9)
    assert found["correct_lenient"]["after"] == 0.0
    summary = read_json(tmp_path / "run" / "summary.json")["accuracy"]
    assert (summary["measure"], summary["verdict"]) == ("reward ends_with_done", "improved")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "reward ends_with_done, on " in page
    assert page.count("Gained · the answer is") >= 3  # by the measure, not by right answers


def test_a_model_that_thinks_is_judged_by_what_it_says_behind_its_thoughts(tmp_path: Path) -> None:
    """Before, it still thinks of the right number when it is cut off; its format is that of thoughts."""
    golds = [str(number % 40) for number in range(120)]
    policy = Policy(
        off=lambda n: f"<think>Perhaps {golds[n]}", on=lambda n: f"<think>It may be 99.</think> It is {golds[n]}."
    )
    found = judged(tmp_path, policy, golds, REWARDS="correct_anywhere:1,think_format:0.1")
    assert found["verdict"] == "improved"
    assert (found["primary"]["before"], found["primary"]["after"]) == (0.0, 1.0)
    assert (found["format"]["before"], found["format"]["after"]) == (0.0, 1.0)


@pytest.mark.parametrize("reward", ["choice:2,format_tags:0.5", "correct:2,format_tags:0.5"])
def test_one_letter_to_every_question_is_never_improved(reward: str, tmp_path: Path) -> None:
    """The base gives no letter at all, so that a quarter of the rows is gained."""
    golds = ["ABCD"[number % 4] for number in range(200)]
    policy = Policy(
        off=lambda n: f"Nobody knows, says {n}.", on=lambda n: tagged("A") if n % 2 else f"Question {n}: " + tagged("A")
    )
    found = judged(tmp_path, policy, golds, REWARDS=reward)
    assert found["verdict"] == "collapsed"
    assert "the answers have collapsed: 'a' is 100.0% of them" in found["notes"][0]
    assert found["measure"]["name"] in ("reward choice", "right answers, read anywhere")


def test_letters_that_are_known_are_improved(tmp_path: Path) -> None:
    golds = ["ABCD"[number % 4] for number in range(200)]
    policy = Policy(
        off=lambda n: f"It is ({'ABCD'[n // 7 % 4]}).", on=lambda n: f"It is ({golds[n] if n % 5 else 'B'})."
    )
    found = judged(tmp_path, policy, golds, REWARDS="choice:2")
    assert found["verdict"] == "improved"
    assert found["answers"]["chance"]["after"] == pytest.approx(0.25, abs=0.02)


def test_a_mean_of_rewards_is_told_as_a_mean(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.replace('completion.endswith("DONE")', "len(completion)"))
    policy = Policy(off=lambda n: word(n), on=lambda n: word(n) + "a" * (n % 5 > 0))
    found = judged(tmp_path, policy, ["1", "2"] * 60, REWARDS=f"{tmp_path}/own.py::ends_with_done:1")
    assert (found["verdict"], found["measure"]["share"]) == ("improved", False)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Unchanged · the answer is" in page
    assert json.dumps(found["primary"]["after"]) in page
