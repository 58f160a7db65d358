"""Two pods of one run, as two parents on this machine: they meet by torchrun's variables and end with one code."""

import signal
import socket
from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json
from tests.faults.runs import Attempt
from tests.ranks import runs

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def pods(folder: Path, **settings: str) -> list[Attempt]:
    """Both see the same run folder."""
    meeting = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(free_port())}
    return [
        runs.start(folder, {**settings, **meeting, "PET_NODE_RANK": str(rank), "GRPO_PROCESSES": "1"})
        for rank in range(2)
    ]


def test_two_pods_train_one_run_and_both_end_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 32)
    first, second = pods(tmp_path, GRPO_RANKS_KEY_PATH=str(tmp_path / "key"))
    assert [first.wait(), second.wait()] == [0, 0], first.said() + second.said()
    found = read_json(tmp_path / runs.RUN_ID / "summary.json")
    assert (found["ending"]["code"], found["attempts"]) == (0, 1)
    assert (tmp_path / runs.RUN_ID / "checkpoints" / "step-000006" / "rng_state_1.pth").is_file()


def test_a_pod_that_is_preempted_stops_both_with_75_and_they_resume(tmp_path: Path) -> None:
    first, second = pods(tmp_path, GRPO_MAX_STEPS="400")
    first.wait_until(lambda: '"event": "step"' in first.said())
    assert second.signal(signal.SIGTERM)
    assert [first.wait(), second.wait()] == [75, 75], first.said() + second.said()
    done = read_json(tmp_path / runs.RUN_ID / "summary.json")["steps"]["done"]
    again = pods(tmp_path, GRPO_MAX_STEPS="400")
    again[0].wait_until(lambda: f'"step": {done + 1},' in again[0].said())
    assert again[0].signal(signal.SIGTERM)
    assert [pod.wait() for pod in again] == [75, 75], again[0].said() + again[1].said()
    assert read_json(tmp_path / runs.RUN_ID / "summary.json")["steps"]["lost_to_resume"] == 0


def test_what_is_refused_ends_both_pods_with_2(tmp_path: Path) -> None:
    first, second = pods(tmp_path, GRPO_DATASET=str(tmp_path / "nowhere"))
    assert [first.wait(), second.wait()] == [2, 2], first.said() + second.said()


def test_machines_with_different_keys_end_and_name_the_setting(tmp_path: Path) -> None:
    meeting = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(free_port())}
    attempts = []
    for rank in range(2):
        (tmp_path / f"key-{rank}").write_text(str(rank) * 32)
        key = {"GRPO_RANKS_KEY_PATH": str(tmp_path / f"key-{rank}"), "GRPO_PROCESSES": "1"}
        attempts.append(runs.start(tmp_path, {**meeting, **key, "PET_NODE_RANK": str(rank)}))
    assert [attempt.wait() for attempt in attempts] == [1, 1]
    assert any("the machines differ in GRPO_RANKS_KEY_PATH" in attempt.said() for attempt in attempts)
