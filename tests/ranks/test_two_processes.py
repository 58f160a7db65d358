"""Runs of two processes on the CPU, under the launcher that the door starts: as one process, and how they end."""

import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from grpo_job.checkpoints import RunLock
from grpo_job.run_folder.files import read_json, read_jsonl
from tests.phases.test_outcome import BOXED, own_reward
from tests.ranks import runs
from tests.ranks.hooks import FailAtStep, ScriptedCompletions, ShortWatchdog, SignalAtStep, StopInLoad

pytestmark = pytest.mark.slow

# What no two layouts share to the last bit, and by how much: sums in another order, in fp32.
LEARNED = ("loss", "grad_norm", "reward", "reward_std", "frac_reward_zero_std", "completions/mean_length")
CLOSE = 1e-4
SPREAD = """
def spread(completion, answer):
    return sum(map(ord, completion)) % 17 / 17
"""
# A rank was lost at most this long ago when the run has ended: grace, torchrun's patience, a loaded machine.
SECONDS_TO_END = 90.0


def summary(folder: Path) -> dict[str, Any]:
    return read_json(folder / runs.RUN_ID / "summary.json")


def scripted(folder: Path, processes: int, **settings: str) -> Path:
    """A run whose completions depend on nothing but their prompts."""
    folder.mkdir()
    given = {**own_reward(folder.parent, SPREAD), "GRPO_HEALTH": "off", "GRPO_PROCESSES": str(processes), **settings}
    attempt = runs.start(folder, given, [ScriptedCompletions()])
    assert attempt.wait() == 0, attempt.said()
    return folder / runs.RUN_ID


def norm(values: Iterable[Tensor]) -> float:
    """Of all values together."""
    return sum(float(value.float().square().sum()) for value in values) ** 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {"GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8"},
        {"GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4", "GRPO_GRADIENT_ACCUMULATION_STEPS": "2"},
    ],
    ids=["smaller micro-batches", "fewer micro-steps"],
)
def test_two_processes_learn_from_the_completions_of_one(settings: dict[str, str], tmp_path: Path) -> None:
    one, two = (scripted(tmp_path / str(processes), processes, **settings) for processes in (1, 2))
    asked = [
        [
            (row["step"], row["prompt"], row["completion"], row["rewards"])
            for row in read_jsonl(run / "completions.jsonl")
        ]
        for run in (one, two)
    ]
    assert len(asked[0]) == 6 * 8
    assert asked[0] == asked[1]
    before, theirs = (read_jsonl(run / "evaluation" / "before.jsonl") for run in (one, two))
    assert before == theirs, "each process answers its share of the held-out rows"
    for before, after in zip(read_jsonl(one / "metrics.jsonl"), read_jsonl(two / "metrics.jsonl"), strict=True):
        assert {name: after[name] for name in LEARNED} == pytest.approx(
            {name: before[name] for name in LEARNED}, abs=CLOSE
        )
    ours, theirs = (load_file(run / "adapter" / "adapter_model.safetensors") for run in (one, two))
    # As a whole: Adam divides by its gradient, so that rounding alone moves a weight whose gradient is nearly zero.
    learned = norm(value for name, value in ours.items() if "lora_B" in name)
    assert norm(ours[name] - theirs[name] for name in ours) < 10 * CLOSE * learned
    assert learned > 0.1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes that was left alone, and published beside."""
    folder = tmp_path_factory.mktemp("finished")
    attempt = runs.start(folder, {"GRPO_PUBLISH_TO": f"file://{folder}/published"})
    assert attempt.wait() == 0, attempt.said()
    return folder


def test_one_process_writes_the_run_and_publishes_it(finished: Path) -> None:
    found = summary(finished)
    assert found["ending"]["code"] == 0
    assert found["attempts"] == 1
    assert [place["uri"] for place in found["published"]] == [f"file://{finished}/published"]
    assert [row["step"] for row in read_jsonl(finished / runs.RUN_ID / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    claims = sorted(path.name for path in (finished / runs.RUN_ID / "lease").glob("*.json"))
    assert claims == ["000001.json"]


def test_a_finished_run_is_left_untouched(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / runs.RUN_ID).rglob("*")}
    assert runs.finish(finished, {"GRPO_PUBLISH_TO": f"file://{finished}/published"}) == 0
    assert {path: path.stat().st_mtime_ns for path in (finished / runs.RUN_ID).rglob("*")} == before


@pytest.mark.parametrize(("rank", "processes"), [(0, "1"), (1, "2")])
def test_sigterm_to_one_rank_stops_all_at_one_step_and_the_run_resumes_with_any_number_of_processes(
    rank: int, processes: str, tmp_path: Path
) -> None:
    cut = runs.start(tmp_path, hooks=[SignalAtStep(rank, 3, signal.SIGTERM)])
    assert cut.wait() == 75, cut.said()
    assert summary(tmp_path)["ending"]["kind"] == "interrupted"
    assert summary(tmp_path)["steps"]["done"] == 3
    resumed = runs.start(tmp_path, {"GRPO_PROCESSES": processes})
    assert resumed.wait() == 0, resumed.said()
    assert summary(tmp_path)["steps"] == {"done": 6, "planned": 6, "lost_to_resume": 0}


def test_sigterm_to_the_parent_reaches_all_and_a_run_of_one_process_resumes_with_two(tmp_path: Path) -> None:
    cut = runs.start(tmp_path, {"GRPO_PROCESSES": "1"}, [])
    cut.wait_until(lambda: '"step": 2,' in cut.said())
    cut.signal(signal.SIGTERM)
    assert cut.wait() == 75, cut.said()
    again = runs.start(tmp_path, {"GRPO_MAX_STEPS": "400"})
    again.wait_until(lambda: '"event": "step"' in again.said())
    assert again.signal(signal.SIGTERM)
    assert again.wait() == 75, again.said()
    done = summary(tmp_path)["steps"]["done"]
    assert done == len(read_jsonl(tmp_path / runs.RUN_ID / "metrics.jsonl")) > 2


@pytest.mark.parametrize(
    ("hooks", "reason", "processes"),
    [
        ([SignalAtStep(1, 3, signal.SIGKILL)], "rank 1 was killed", "2"),
        ([SignalAtStep(1, 3, signal.SIGSTOP), ShortWatchdog(10.0)], "no progress for ", "1"),
        ([FailAtStep(1, 3, "a fault of this rank alone")], "rank 1: RuntimeError: a fault of this rank alone", "1"),
    ],
    ids=["killed", "hung", "failed"],
)
def test_a_rank_that_is_lost_ends_the_run_with_1_and_it_resumes(
    hooks: list[Any], reason: str, processes: str, tmp_path: Path
) -> None:
    cut = runs.start(tmp_path, hooks=hooks)
    cut.wait_until(lambda: '"step": 2,' in cut.said())
    assert cut.wait(SECONDS_TO_END) == 1, cut.said()
    assert summary(tmp_path)["ending"]["code"] == 1
    assert summary(tmp_path)["ending"]["reason"].startswith(reason)
    runs.wait_until_no_rank_is_left(tmp_path)
    assert runs.finish(tmp_path, {"GRPO_PROCESSES": processes}) == 0
    assert summary(tmp_path)["steps"]["done"] == 6


def test_a_rank_that_hangs_while_it_loads_is_lost_to_the_watchdog_too(tmp_path: Path) -> None:
    cut = runs.start(tmp_path, hooks=[StopInLoad(1), ShortWatchdog(10.0)])
    assert cut.wait() == 1, cut.said()
    assert summary(tmp_path)["ending"]["reason"].startswith("no progress for ")
    runs.wait_until_no_rank_is_left(tmp_path)


def test_rank_0_killed_ends_the_run_with_1_and_it_resumes(tmp_path: Path) -> None:
    cut = runs.start(tmp_path, hooks=[SignalAtStep(0, 3, signal.SIGKILL)])
    cut.wait_until(lambda: '"step": 2,' in cut.said())
    assert cut.wait(SECONDS_TO_END) == 1, cut.said()
    runs.wait_until_no_rank_is_left(tmp_path)
    assert runs.finish(tmp_path) == 0


def test_what_cannot_be_shared_ends_with_2_before_any_process_is_started(tmp_path: Path) -> None:
    refused = runs.start(tmp_path, {"GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "2"})
    assert refused.wait() == 2
    assert "= 2 completions cannot be divided into whole groups of GRPO_NUM_GENERATIONS=2" in refused.said()
    assert not (tmp_path / runs.RUN_ID).exists()


def test_rows_that_are_not_there_end_with_2_and_no_process_loads_anything(tmp_path: Path) -> None:
    refused = runs.start(tmp_path, {"GRPO_DATASET": str(tmp_path / "nowhere")})
    assert refused.wait() == 2
    assert summary(tmp_path)["ending"]["kind"] == "refused"


def test_a_destination_that_fails_at_the_end_is_exit_3(tmp_path: Path) -> None:
    published = tmp_path / "published"
    attempt = runs.start(tmp_path, {"GRPO_PUBLISH_TO": f"file://{published}", "GRPO_PUBLISH_SECONDS": "5"})
    attempt.wait_until(lambda: '"step": 6,' in attempt.said())
    shutil.rmtree(published, ignore_errors=True)
    published.write_text("a file where a folder is to be")
    assert attempt.wait() == 3, attempt.said()


def test_a_base_that_gives_no_signal_is_exit_4(tmp_path: Path) -> None:
    attempt = runs.start(tmp_path, {**own_reward(tmp_path, BOXED), "GRPO_PROBE_PROMPTS": "4"})
    assert attempt.wait() == 4, attempt.said()
    assert summary(tmp_path)["steps"]["done"] == 0


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[None]:
    """Another attempt at the run."""
    folder = tmp_path / runs.RUN_ID
    folder.mkdir()
    run_lock = RunLock(folder, None, 4.0, lambda reason: None)
    run_lock.acquire()
    yield
    run_lock.release()


@pytest.mark.usefixtures("holder")
def test_a_run_that_another_attempt_holds_is_exit_5(tmp_path: Path) -> None:
    attempt = runs.start(tmp_path, {"GRPO_LEASE_SECONDS": "60"})
    assert attempt.wait() == 5, attempt.said()
