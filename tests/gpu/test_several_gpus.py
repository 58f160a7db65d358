"""The embedded sample on two GPUs: each with a vLLM and a base of its own, and with one that both share."""

import json
import signal
import time
from pathlib import Path
from statistics import mean

import pytest

from grpo_job.run_folder.files import read_json, read_jsonl
from grpo_job.run_folder.paths import RunFolder
from grpo_job.runtime import machine
from tests.gpu import runs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(len(machine.gpus()) < 2, reason="needs two GPUs"),
]

STEPS = 40
REWARD_BOUND = 0.25  # of 2.5 that a completion can earn, in the mean of ten steps; as between two seeds
ON_TWO = {"GRPO_PROCESSES": "2", "GRPO_ENGINE": "trl"}
# The sample fits anywhere; so the plan is told that nothing but both GPUs together will do.
SPREAD = """
from grpo_job.planner import plan as gpu_plan
from grpo_job.runtime.signals import Interruption
gpu_plan._spreads = lambda model, processes: [2]
from grpo_job.cli import main
main(["run"], obj=Interruption().install())
"""


def finished(outputs: Path, settings: dict[str, str], door: tuple[str, ...] = ("entrypoint.py",)) -> RunFolder:
    assert runs.start(outputs, settings, door).wait(600) == 0, runs.said(outputs)
    return runs.folder(outputs)


def curve(folder: RunFolder) -> list[float]:
    rows = read_jsonl(folder.metrics)
    assert len(rows) == STEPS
    return [mean(row["reward"] for row in rows[start : start + 10]) for start in range(0, STEPS, 10)]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The same engine on one GPU."""
    return finished(tmp_path_factory.mktemp("one"), {"GRPO_ENGINE": "trl"})


@pytest.mark.parametrize(
    ("settings", "door", "spread", "shards"),
    [
        (ON_TWO, ("entrypoint.py",), 1, 1),
        (ON_TWO, ("-c", SPREAD), 2, 1),
        ({**ON_TWO, "GRPO_LOAD_IN_4BIT": "true"}, ("-c", SPREAD), 2, 1),
        ({**ON_TWO, "GRPO_SHARD_BASE": "true"}, ("entrypoint.py",), 1, 2),
        ({**ON_TWO, "GRPO_SHARD_BASE": "true"}, ("-c", SPREAD), 2, 2),
    ],
    ids=["a vLLM each", "one vLLM", "one vLLM, training in 4 bits", "one base", "one vLLM, one base"],
)
def test_two_gpus_learn_the_sample_as_one_does(
    settings: dict[str, str], door: tuple[str, ...], spread: int, shards: int, one: RunFolder, tmp_path: Path
) -> None:
    two = finished(tmp_path, settings, door)
    plan = read_json(two.environment)["plan"]
    assert (plan["tensor_parallel"], plan["base_shards"]) == (spread, shards)
    curves = {"one": curve(one), "two": curve(two)}
    print(json.dumps(curves))
    for ours, theirs in zip(curves["two"], curves["one"], strict=True):
        assert ours == pytest.approx(theirs, abs=REWARD_BOUND)
    accuracy = read_json(two.summary)["accuracy"]
    assert accuracy["after"] - accuracy["before"] >= 0.2


def test_sigterm_stops_both_gpus_at_one_step_and_the_run_resumes(tmp_path: Path) -> None:
    process = runs.start(tmp_path, ON_TWO)
    while len(read_jsonl(runs.folder(tmp_path).metrics)) < 3:
        assert process.poll() is None, runs.said(tmp_path)
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 75, runs.said(tmp_path)
    done = read_json(runs.folder(tmp_path).summary)["steps"]["done"]
    assert 3 <= done < STEPS
    assert finished(tmp_path, ON_TWO)
    assert read_json(runs.folder(tmp_path).summary)["steps"]["lost_to_resume"] == 0
