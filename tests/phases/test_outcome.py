"""Runs that end before their last step, each for real in a process of its own: what they keep, and what they say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.inputs import sample
from grpo_job.run_folder.files import read_json, read_jsonl, sha256, write_json
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

# What the checks find in order although the sample never earns it: it does not know boxes.
BOXED = """
def boxed(completion, answer):
    return float(f"\\\\boxed{{{answer}}}" in completion)
"""
# Pays for digits, so that groups have spread although every completion is cut.
DIGITS = """
def digits(completion, answer):
    return 2.0 if answer in completion else sum(map(str.isdigit, completion)) / 10
"""


def own_reward(folder: Path, source: str) -> dict[str, str]:
    """The settings of a run whose only reward is this function."""
    name = source.split("def ")[1].split("(")[0]
    (folder / f"own_{name}.py").write_text(source)
    return {"GRPO_REWARDS": f"own_{name}.{name}:1", "GRPO_REWARD_PATH": str(folder)}


def reward_always_0(folder: Path) -> dict[str, str]:
    return {**own_reward(folder, BOXED), "GRPO_PROBE_PROMPTS": "0", "GRPO_HEALTH_STEPS": "3"}


def absurd_learning_rate(folder: Path) -> dict[str, str]:
    return {"GRPO_LEARNING_RATE": "100", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16"}


def completions_always_clipped(folder: Path) -> dict[str, str]:
    settings = {"GRPO_MAX_COMPLETION_LENGTH": "16", "GRPO_LEARNING_RATE": "1e-9", "GRPO_HEALTH_STEPS": "5"}
    return {**own_reward(folder, DIGITS), **settings, "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        (reward_always_0, "no_signal", "every group of completions had zero reward std"),
        (absurd_learning_rate, "clipped", "at the start, so add soft_overlong to GRPO_REWARDS"),
        (completions_always_clipped, "clipped", "were truncated at GRPO_MAX_COMPLETION_LENGTH=16"),
    ],
)
def test_a_run_that_cannot_succeed_ends_with_4_keeps_its_adapter_and_says_why(
    settings: Callable[[Path], dict[str, str]], kind: str, said: str, tmp_path: Path
) -> None:
    given = {"GRPO_MAX_STEPS": "400", "GRPO_SAVE_STEPS": "400", **settings(tmp_path)}
    attempt = runs.start(tmp_path, given)
    assert attempt.wait() == 4, attempt.said()
    run = tmp_path / runs.RUN_ID
    summary = read_json(run / "summary.json")
    assert (summary["ending"]["kind"], summary["ending"]["code"]) == ("hopeless", 4)
    assert said in summary["ending"]["reason"]
    hopeless = [finding for finding in summary["health"] if finding["level"] == "hopeless"]
    assert [(finding["kind"], finding["message"]) for finding in hopeless] == [(kind, summary["ending"]["reason"])]
    done = summary["steps"]["done"]
    assert hopeless[0]["step"] <= done < 400
    adapter = run / "adapter" / "adapter_model.safetensors"
    assert summary["adapter"] == {"path": str(adapter.parent), "sha256": sha256(adapter)}
    assert sha256(run / "checkpoints" / f"step-{done:06d}" / adapter.name) == summary["adapter"]["sha256"]
    report = (run / "report.html").read_text()
    assert f"Step {hopeless[0]['step']}" in report
    assert said in report
    assert "No verdict: stopped, because the run could not succeed" in report


@pytest.mark.slow
def test_a_base_that_gives_no_signal_ends_with_4_before_step_1(tmp_path: Path) -> None:
    attempt = runs.start(tmp_path, own_reward(tmp_path, BOXED))
    assert attempt.wait() == 4, attempt.said()
    run = tmp_path / runs.RUN_ID
    summary = read_json(run / "summary.json")
    assert summary["ending"]["reason"].startswith("before step 1 all 64 groups of 2 completions had zero reward std")
    assert (summary["probe"]["groups"], summary["probe"]["with_spread"]) == (64, 0)
    assert summary["steps"]["done"] == 0
    assert "before step 1 all 64 groups" in (run / "report.html").read_text()


@pytest.mark.slow
def test_a_third_of_the_hours_it_needs_ends_a_run_in_time_evaluated_and_published(tmp_path: Path) -> None:
    limit, published = 75.0, tmp_path / "published"
    settings = {
        "GRPO_MAX_STEPS": "100000",
        "GRPO_EVAL_ROWS": "20",
        "GRPO_SAVE_STEPS": "20",
        "GRPO_MAX_HOURS": str(limit / 3600),
        "GRPO_PRICE_PER_HOUR": "3.6",
        "GRPO_PUBLISH_TO": f"file://{published}",
    }
    attempt = runs.start(tmp_path, settings)
    assert attempt.wait() == 0, attempt.said()
    run = tmp_path / runs.RUN_ID
    summary = read_json(run / "summary.json")
    done, took = summary["steps"]["done"], summary["seconds"]["total"]
    needed = took + summary["seconds"]["train"] / done * (100_000 - done)
    assert limit <= needed / 3
    assert took <= 1.1 * limit
    assert done > 1
    assert len(read_jsonl(run / "metrics.jsonl")) == done
    reason = f"ended after step {done} of 100000, then evaluated and saved: another step would not fit"
    assert reason in summary["ending"]["reason"]
    assert summary["accuracy"]["rows"] == 20
    assert summary["accuracy"]["verdict"]
    assert summary["published"][0]["verified"]
    assert (published / "adapter_model.safetensors").is_file()
    assert summary["cost"]["total"] == pytest.approx(took / 1000, rel=0.01)
    for report in (run / "report.html", published / "run" / "report.html"):
        assert reason in report.read_text()
        assert "total without publishing" in report.read_text()  # the table of cost by phase


@pytest.mark.slow
def test_a_run_that_goes_on_with_its_budget_spent_ends_in_order_with_what_was_trained(tmp_path: Path) -> None:
    hooks = [SignalAfterStep(3), WithoutReport()]
    assert runs.finish(tmp_path, hooks=hooks) == 75
    run = tmp_path / runs.RUN_ID
    (checkpoint,) = (run / "checkpoints").glob("step-000004")
    interrupted = read_json(run / "summary.json")
    interrupted["seconds"]["total"] = 3600.0  # as if it had taken its hour
    write_json(run / "summary.json", interrupted)
    attempt = runs.start(tmp_path, {"GRPO_MAX_HOURS": "1"}, hooks=[WithoutReport()])
    assert attempt.wait() == 0, attempt.said()
    summary = read_json(run / "summary.json")
    assert "ended after step 4 of 6" in summary["ending"]["reason"]
    assert summary["steps"]["done"] == 4
    assert summary["adapter"]["sha256"] == sha256(checkpoint / "adapter_model.safetensors")


# The checks ask for right answers as they would be written, of rows to train on.
FAILS = """
def fails(completions, question, trainer_state, **kwargs):
    texts = [each[0]["content"] for each in completions]
    worked, step = any(" = " in text for text in texts), trainer_state.global_step

    if {where}:
        step / 0
    return [float(sum(map(str.isdigit, text))) for text in texts]
"""
IN_HELD_OUT = f"question[0] in open({str(sample.HELD_OUT)!r}).read()"


def failing(folder: Path, *, where: str) -> dict[str, str]:
    """A run whose reward raises where this is true."""
    (folder / "own_fails.py").write_text(FAILS.format(where=where))
    return {"GRPO_REWARDS": f"{folder}/own_fails.py::fails", "GRPO_PROBE_PROMPTS": "2"}


@pytest.mark.slow
@pytest.mark.parametrize("where", [IN_HELD_OUT, "worked"], ids=["base", "probe"])
def test_a_reward_that_fails_before_training_is_refused_with_its_line_and_the_completion(
    where: str, tmp_path: Path
) -> None:
    attempt = runs.start(tmp_path, failing(tmp_path, where=where), hooks=(WithoutReport(),))
    assert attempt.wait() == 2, attempt.said()
    reason = read_json(tmp_path / runs.RUN_ID / "summary.json")["ending"]["reason"]
    assert "reward 'fails' raised ZeroDivisionError: division by zero at own_fails.py, line 7: step / 0" in reason
    assert "on the completion '" in reason


@pytest.mark.slow
def test_a_reward_that_fails_in_mid_run_ends_it_with_4_and_the_mended_run_resumes(tmp_path: Path) -> None:
    settings = failing(tmp_path, where="step == 2")
    attempt = runs.start(tmp_path, settings, hooks=(WithoutReport(),))
    assert attempt.wait() == 4, attempt.said()
    run = tmp_path / runs.RUN_ID
    reason = read_json(run / "summary.json")["ending"]["reason"]
    assert "line 7: step / 0 on the completion '" in reason
    assert f"the run is kept at step 2 and resumes with GRPO_RUN_ID={runs.RUN_ID} once it is fixed" in reason
    own = tmp_path / "own_fails.py"
    own.write_text(own.read_text().replace("step / 0", "0.0"))
    assert runs.finish(tmp_path, settings, hooks=(WithoutReport(),)) == 0
    assert [row["step"] for row in read_jsonl(run / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    assert read_json(run / "summary.json")["attempts"] == 2
