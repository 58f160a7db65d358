"""Real runs whose verdict is known beforehand: nothing learned, and the wrong thing learned."""

import html
from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json
from tests.faults import runs
from tests.faults.hooks import WithoutReport

BACKWARDS = '''
"""Pays what should not be paid."""

from grpo_job.rewards import answers


def wrong_answer(completion: str, answer: str) -> float:
    """1 for an answer that is not right."""
    return 0.0 if answers.correct(completion, answer) == 1.0 else 1.0
'''


@pytest.mark.slow
def test_a_learning_rate_of_zero_gives_no_evidence_of_a_change(tmp_path: Path) -> None:
    settings = {"GRPO_LEARNING_RATE": "0", "GRPO_EVAL_ROWS": "60", "GRPO_PUBLISH_IF": "improved"}
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport()]) == 4
    summary = read_json(tmp_path / runs.RUN_ID / "summary.json")
    assert summary["accuracy"]["verdict"] == "no evidence of a change"
    assert summary["accuracy"]["before"] == summary["accuracy"]["after"]
    assert "not published because of GRPO_PUBLISH_IF=improved" in summary["ending"]["reason"]


@pytest.mark.slow
def test_a_reward_that_pays_wrong_answers_is_found_out_and_not_published(tmp_path: Path) -> None:
    rewards = tmp_path / "rewards"
    rewards.mkdir()
    (rewards / "backwards.py").write_text(BACKWARDS)
    settings = {
        "GRPO_REWARDS": "backwards.wrong_answer:1",
        "GRPO_MEASURE": "correct_anywhere",
        "GRPO_REWARD_PATH": str(rewards),
        "GRPO_MAX_STEPS": "25",
        "GRPO_EVAL_ROWS": "100",
        "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "32",
        "GRPO_NUM_GENERATIONS": "8",
        "GRPO_MAX_COMPLETION_LENGTH": "64",
        "GRPO_LEARNING_RATE": "1e-3",
        "GRPO_SAVE_STEPS": "25",
        "GRPO_HEALTH": "warn",  # else such a reward is refused before anything is trained
        "GRPO_PUBLISH_IF": "not-worse",
        "GRPO_PUBLISH_TO": f"file://{tmp_path}/tree",
    }
    attempt = runs.start(tmp_path, settings)
    assert attempt.wait() == 4, attempt.said()
    run = tmp_path / runs.RUN_ID
    summary = read_json(run / "summary.json")
    accuracy = summary["accuracy"]
    assert accuracy["verdict"] == "worse", accuracy
    assert accuracy["after"] < accuracy["before"]
    assert accuracy["p_value"] < 0.05
    said = "not published because of GRPO_PUBLISH_IF=not-worse: the verdict is 'worse'"
    assert summary["ending"]["reason"].startswith(said)
    assert said in attempt.said()
    report = html.unescape((run / "report.html").read_text())
    assert report.index(">Worse<") < report.index(said) < report.index("<h2")
    assert list((tmp_path / "tree").glob("*")) == []  # the folder itself was made to see whether it can be
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
