"""Dynamic sampling in two processes: both take the same rows and groups, and a run that is cut goes on with them."""

import json
import signal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from grpo_job.run_folder.files import read_jsonl
from tests.phases.test_outcome import own_reward
from tests.ranks import runs
from tests.ranks.hooks import ScriptedCompletions, SignalAtStep

pytestmark = pytest.mark.slow

GROUP, PROMPTS = 2, 4
HALF_FLAT = """
def half_flat(completion, answer):
    return 1.0 if sum(map(ord, answer)) % 2 else sum(map(ord, completion)) % 17 / 17
"""


def run(folder: Path, hooks: list[Any], code: int) -> Path:
    settings = {
        **own_reward(folder.parent, HALF_FLAT),
        "GRPO_HEALTH": "off",
        "GRPO_NUM_GENERATIONS": str(GROUP),
        "GRPO_DYNAMIC_SAMPLING": "3",
        "GRPO_SKIP_SOLVED": "1",
    }
    attempt = runs.start(folder, settings, [ScriptedCompletions(), *hooks])
    assert attempt.wait() == code, attempt.said()
    return folder / runs.RUN_ID


def test_two_processes_learn_from_groups_with_spread_and_a_cut_run_ends_as_a_whole_one(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", [], 0)
    metrics, completions = read_jsonl(whole / "metrics.jsonl"), read_jsonl(whole / "completions.jsonl")
    by_step = {step: list(rows) for step, rows in groupby(completions, lambda row: row["step"])}
    assert max(row["dynamic/rounds"] for row in metrics) > 0
    for row in metrics:
        groups = [list(one) for _, one in groupby(by_step[row["step"]], lambda row: json.dumps(row["prompt"]))]
        assert row["dynamic/completions"] == GROUP * len(groups)
        learned = sum(any(row["advantage"] for row in group) for group in groups)
        assert learned == PROMPTS or row["dynamic/rounds"] == 3
    cut = run(tmp_path / "cut", [SignalAtStep(1, 3, signal.SIGTERM)], 75)
    assert run(tmp_path / "cut", [], 0) == cut
    assert read_jsonl(cut / "completions.jsonl") == completions
    ours, theirs = (load_file(one / "adapter" / "adapter_model.safetensors") for one in (whole, cut))
    assert all(ours[name].equal(theirs[name]) for name in ours)
