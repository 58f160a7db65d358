"""A run with a reference (beta) that SIGTERM cuts goes on from its adapter, on Unsloth and on TRL with vLLM."""

import json
from pathlib import Path
from statistics import mean

import pytest

from grpo_job.run_folder.files import read_jsonl
from grpo_job.run_folder.paths import WEIGHTS, RunFolder
from tests.gpu import runs

pytestmark = pytest.mark.gpu

STEPS = 30
SETTINGS = {"GRPO_BETA": "0.04", "GRPO_MAX_STEPS": str(STEPS), "GRPO_SAVE_STEPS": "5", "GRPO_EVAL_ROWS": "40"}
REWARD_BOUND = 0.3  # of 2.5 that a completion can earn, as between two runs of one seed
KL_BOUND = 0.5  # relative, in the mean of the steps after the cut; an adapter that is lost falls to about 0


@pytest.mark.parametrize("engine", ["unsloth", "trl"])
def test_a_cut_run_with_a_reference_goes_on_with_kl_and_reward_of_a_whole_one(engine: str, tmp_path: Path) -> None:
    settings = {**SETTINGS, "GRPO_ENGINE": engine}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert runs.start(whole, settings).wait(500) == 0, runs.said(whole)
    door = ("-m", "tests.gpu.interrupted", "training step")
    assert runs.start(cut, settings, door).wait(500) == 75, runs.said(cut)
    folder = runs.folder(cut)
    saved = sorted(folder.checkpoints.glob("step-*"))[-1]
    assert (saved / WEIGHTS).is_file()
    assert [path.name for path in saved.iterdir() if path.is_dir()] == []
    step = int(saved.name.split("-")[1])
    assert runs.start(cut, settings).wait(500) == 0, runs.said(cut)  # it raises unless the checkpoint's bytes came back
    for name, bound in (("kl", KL_BOUND * mean(after(runs.folder(whole), "kl", step))), ("reward", REWARD_BOUND)):
        ours, theirs = (after(runs.folder(outputs), name, step) for outputs in (cut, whole))
        print(json.dumps({"engine": engine, "step": step, "metric": name, "cut": ours, "whole": theirs}))
        assert len(ours) == STEPS - step
        assert mean(ours) == pytest.approx(mean(theirs), abs=bound)


def after(folder: RunFolder, name: str, step: int) -> list[float]:
    """The metric of each step after `step`."""
    return [row[name] for row in read_jsonl(folder.metrics) if row["step"] > step]
