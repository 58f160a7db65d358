"""The embedded sample on two GPUs: each with a vLLM and a base of its own, and with one that both share; by Unsloth."""

import json
import signal
import time
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
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
UNSLOTH_ON_TWO = {"GRPO_PROCESSES": "2", "GRPO_ENGINE": "unsloth"}
# The sample fits anywhere; so the plan is told that nothing but both GPUs together will do.
SPREAD = """
from grpo_job.planner import plan as gpu_plan
from grpo_job.runtime.signals import Interruption
gpu_plan.spreads = lambda model, processes: [2]
from grpo_job.cli import main
main(["run"], obj=Interruption().install())
"""

# Each rank writes the digest of the LoRA that it holds after training.
DIGESTS = """
import hashlib, os
from pathlib import Path
import torch
from grpo_job.engines import base
train = base.TrainerEngine.train

def train_and_tell(engine, *arguments):
    train(engine, *arguments)
    weights = [weight.detach().reshape(-1) for weight in engine.model.parameters() if weight.requires_grad]
    digest = hashlib.sha256(torch.cat(weights).cpu().numpy()).hexdigest()
    Path(os.environ["GRPO_OUTPUT_DIR"], "digest-" + os.environ["RANK"]).write_text(digest)

base.TrainerEngine.train = train_and_tell
from grpo_job.runtime.signals import Interruption
from grpo_job.cli import main
main(["run"], obj=Interruption().install())
"""


def wait_for_steps(steps: int, process: Any, outputs: Path) -> None:
    while len(read_jsonl(runs.folder(outputs).metrics)) < steps:
        assert process.poll() is None, runs.said(outputs)
        time.sleep(0.1)


def rank_of(launcher: int, rank: int) -> psutil.Process:
    """The process of this rank, started by torchrun, which the launcher started."""
    ranks = [one for torchrun in psutil.Process(launcher).children() for one in torchrun.children()]
    return next(one for one in ranks if one.environ().get("RANK") == str(rank))


def finished(outputs: Path, settings: dict[str, str], door: tuple[str, ...] = ("entrypoint.py",)) -> RunFolder:
    assert runs.start(outputs, settings, door).wait(600) == 0, runs.said(outputs)
    return runs.folder(outputs)


def curve(folder: RunFolder) -> list[float]:
    rows = read_jsonl(folder.metrics)
    assert len(rows) == STEPS
    return [mean(row["reward"] for row in rows[start : start + 10]) for start in range(0, STEPS, 10)]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """TRL's engine on one GPU."""
    return finished(tmp_path_factory.mktemp("one"), {"GRPO_ENGINE": "trl"})


@pytest.fixture(scope="module")
def one_of_unsloth(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("one_of_unsloth"), {"GRPO_ENGINE": "unsloth"})


def has_learned_as(two: RunFolder, one: RunFolder) -> bool:
    curves = {"one": curve(one), "two": curve(two)}
    print(json.dumps(curves))
    for ours, theirs in zip(curves["two"], curves["one"], strict=True):
        assert ours == pytest.approx(theirs, abs=REWARD_BOUND)
    accuracy = read_json(two.summary)["accuracy"]
    return bool(accuracy["after"] - accuracy["before"] >= 0.2)


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
    assert has_learned_as(two, one)


def test_two_gpus_with_unsloth_learn_the_sample_as_one_does_and_hold_the_same_adapter(
    one_of_unsloth: RunFolder, tmp_path: Path
) -> None:
    two = finished(tmp_path, UNSLOTH_ON_TWO, ("-c", DIGESTS))
    found = read_json(two.environment)
    assert (found["engine"], found["plan"]["weight_sync"]) == ("unsloth", "copy")
    assert has_learned_as(two, one_of_unsloth)
    digests = [path.read_text() for path in sorted(tmp_path.glob("digest-*"))]
    assert len(digests) == 2
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"GRPO_TRAINING_GRAPHS": "true"},
        {"GRPO_BETA": "0.04", "GRPO_NUM_ITERATIONS": "2"},
        {"GRPO_DYNAMIC_SAMPLING": "1"},
    ],
    ids=["graphs", "a reference and two iterations", "dynamic sampling"],
)
def test_two_gpus_with_unsloth_train_with(settings: dict[str, str], tmp_path: Path) -> None:
    two = finished(tmp_path, {**UNSLOTH_ON_TWO, "GRPO_MAX_STEPS": "6", "GRPO_HEALTH": "off", **settings})
    assert len(read_jsonl(two.metrics)) == 6


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_of_unsloth_ends_the_run_with_1_and_it_resumes(rank: int, tmp_path: Path) -> None:
    settings = {**UNSLOTH_ON_TWO, "GRPO_SAVE_STEPS": "2"}
    process = runs.start(tmp_path, settings)
    wait_for_steps(4, process, tmp_path)
    rank_of(process.pid, rank).kill()
    assert process.wait(180) == 1, runs.said(tmp_path)
    assert finished(tmp_path, settings)
    assert read_json(runs.folder(tmp_path).summary)["steps"]["done"] == STEPS


@pytest.mark.parametrize("settings", [ON_TWO, UNSLOTH_ON_TWO], ids=["trl", "unsloth"])
def test_sigterm_stops_both_gpus_at_one_step_and_the_run_resumes(settings: dict[str, str], tmp_path: Path) -> None:
    process = runs.start(tmp_path, settings)
    wait_for_steps(3, process, tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 75, runs.said(tmp_path)
    done = read_json(runs.folder(tmp_path).summary)["steps"]["done"]
    assert 3 <= done < STEPS
    assert finished(tmp_path, settings)
    assert read_json(runs.folder(tmp_path).summary)["steps"]["lost_to_resume"] == 0
