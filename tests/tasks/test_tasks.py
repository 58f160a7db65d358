"""Tasks as people bring them, from their rows to a verdict: each a whole run of the sample model on a CPU."""

import json
import re
import signal
from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport
from tests.servers.judge import judging
from tests.tasks import forms

pytestmark = pytest.mark.slow

SETTINGS = {
    "GRPO_MAX_STEPS": "12", "GRPO_LEARNING_RATE": "2e-3", "GRPO_EVAL_ROWS": "100", "GRPO_SAVE_STEPS": "4",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "64", "GRPO_NUM_GENERATIONS": "8", "GRPO_MAX_COMPLETION_LENGTH": "64",
    "GRPO_PROBE_PROMPTS": "4", "GRPO_SAMPLE_PROMPTS": "none",
}  # fmt: skip


def strict(asked: str) -> str:
    """What a judge says that reads the right answer and the completion in what it is asked."""
    right = re.search(r"if there is one:\n(.*)\n", asked)
    said = re.findall(r"<answer>\s*(.*?)\s*</answer>", asked)
    return "10" if right and said and said[-1] == right[1] else "0"


def with_judge(url: str, tries: int = 6) -> dict[str, str]:
    options = {"judge": {"url": url, "model": "stub", "tries": tries}}
    return {"GRPO_REWARD_OPTIONS": json.dumps(options)}


def run(name: str, folder: Path, settings: dict[str, str]) -> dict[str, object]:
    written = forms.write(forms.TASKS[name], folder)
    attempt = runs.start(folder, {**SETTINGS, **written, **settings}, hooks=(WithoutReport(),))
    assert attempt.wait() == 0, attempt.said()[-5000:]
    return read_json(folder / runs.RUN_ID / "summary.json")


@pytest.mark.parametrize("name", [name for name in forms.TASKS if name != "a judge"])
def test_a_task_is_learned_from_the_rows_as_they_are(name: str, tmp_path: Path) -> None:
    accuracy = run(name, tmp_path, {})["accuracy"]
    assert accuracy["verdict"] == "improved", accuracy  # type: ignore[index]
    assert accuracy["rows"] == forms.HELD_OUT  # type: ignore[index]


def test_a_judge_that_takes_a_while_and_fails_at_times_teaches_as_well(tmp_path: Path) -> None:
    with judging(strict, seconds=0.2, failing=0.3) as server:
        summary = run("a judge", tmp_path, with_judge(server.url))
        assert server.most_at_once > 16
    assert summary["accuracy"]["verdict"] == "improved", summary["accuracy"]  # type: ignore[index]
    told = summary["judge"]
    assert told["calls"] == len(server.bodies) > told["judged"]  # type: ignore[index]


def judged_run(folder: Path, *attempts: tuple[object, ...]) -> dict[str, object]:
    """A small run whose judge fails so often that some completions are never judged; each attempt has its hooks."""
    with judging(strict, failing=0.4) as server:
        settings = {
            **SETTINGS, **forms.write(forms.TASKS["a judge"], folder), **with_judge(server.url, tries=2),
            "GRPO_MAX_STEPS": "6", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16", "GRPO_SAVE_STEPS": "2",
            "GRPO_EVAL_ROWS": "20",
        }  # fmt: skip
        for hooks in attempts:
            attempt = runs.start(folder, settings, hooks=(*hooks, WithoutReport()))  # type: ignore[arg-type]
            code = attempt.wait()
    assert code == 0, attempt.said()[-5000:]
    return runs.result(folder)


def test_a_run_with_a_judge_that_is_interrupted_ends_with_the_bytes_of_a_whole_one(tmp_path: Path) -> None:
    whole = judged_run(tmp_path / "whole", ())
    cut = judged_run(tmp_path / "cut", (SignalAfterStep(3, signal.SIGKILL),), ())
    assert runs.difference(whole, cut) == ""
    lines = (tmp_path / "cut" / runs.RUN_ID / "judged.jsonl").read_text().splitlines()
    assert any(json.loads(line)[1] is None for line in lines)
