"""`grpo-job reproduce`: the same bytes on a CPU, and a refusal that names what differs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job.outcomes import Abandoned, InvalidRun
from grpo_job.phases import in_python, reproduce
from grpo_job.run_folder.files import read_json, write_json
from grpo_job.runtime import machine
from tests.faults import runs
from tests.phases import faulty_trees as faults

RUNS: dict[str, dict[str, str]] = {
    "as the smallest": {},
    "another seed, two rewards and a system prompt": {
        "GRPO_SEED": "7", "GRPO_LORA_SEED": "5", "GRPO_REWARDS": "correct:1.5,format_tags:0.25",
        "GRPO_SYSTEM_PROMPT": "Think.\nThen answer.",
    },
    "other options of TRL, rank and schedule": {
        "GRPO_LOSS_TYPE": "dr_grpo", "GRPO_EPSILON_HIGH": "0.28", "GRPO_LORA_RANK": "4", "GRPO_BETA": "0.02",
        "GRPO_LR_SCHEDULER_TYPE": "cosine", "GRPO_LORA_TARGET_MODULES": "q_proj,v_proj", "GRPO_NUM_ITERATIONS": "2",
    },
}  # fmt: skip


def made(folder: Path, settings: dict[str, str]) -> Path:
    there = {"GRPO_MAX_STEPS": "3", **settings, "GRPO_PUBLISH_TO": f"file://{folder}/tree"}
    attempt = runs.start(folder, there)
    assert attempt.wait() == 0, attempt.said()
    return folder / "tree"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("first"), {})


def elsewhere(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    return {**kept, "GRPO_OUTPUT_DIR": str(folder)}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_same_bytes_come_out(name: str, tmp_path: Path) -> None:
    tree = made(tmp_path / "first", RUNS[name])
    told = reproduce.reproduce(f"file://{tree}", elsewhere(tmp_path / "again"), [], anyway=False)
    assert told.code == 0
    assert f"the same adapter, SHA-256 {read_json(tree / 'run' / 'summary.json')['adapter']['sha256']}" in told.reason
    assert (tmp_path / "again" / "again-run" / "adapter" / "adapter_model.safetensors").is_file()


def told(path: Path, **values: Any) -> None:
    write_json(path, {**read_json(path), **values})


def other_versions(tree: Path) -> None:
    told(tree / "run" / "environment.json", versions={**machine.versions(), "torch": "1.0"})


def on_a_gpu(tree: Path) -> None:
    told(tree / "run" / "environment.json", gpus=[{"name": "NVIDIA H200"}])


def other_rows(tree: Path) -> None:
    rows = read_json(tree / "run" / "environment.json")["dataset"]
    told(tree / "run" / "environment.json", dataset={**rows, "training_rows": "0" * 64})


def stopped(tree: Path) -> None:
    told(tree / "run" / "summary.json", stopped="1 hour was used up")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "assignments", "sentence"),
    [
        (other_versions, [], r"other package versions \(torch: '1\.0' -> "),
        (on_a_gpu, [], r"another machine \(GPUs: \['NVIDIA H200'\] -> \[\]\)"),
        (other_rows, [], r"other rows \(digest [0-9a-f]{12}, but was 0{12}\)"),
        (stopped, [], r"it was stopped early \(1 hour was used up\)"),
        (lambda tree: None, ["max_steps=5"], r"GRPO_MAX_STEPS is 5 \(given\), but was 3"),
    ],
)
def test_a_difference_is_refused_by_name(
    change: Any, assignments: list[str], sentence: str, tree: Path, tmp_path: Path
) -> None:
    other = faults.planted(tree, tmp_path / "tree", change)
    with pytest.raises(InvalidRun, match=rf"{sentence}.*; use --anyway"):
        reproduce.reproduce(str(other), elsewhere(tmp_path / "again"), assignments, anyway=False)
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "variable"),
    [({"rewards": [["mine.grade", 1.0]]}, "GRPO_REWARDS"), ({"dataset": "/etc/rows.jsonl"}, "GRPO_DATASET")],
)
def test_code_and_paths_come_from_the_caller(values: dict[str, Any], variable: str, tree: Path, tmp_path: Path) -> None:
    other = faults.planted(tree, tmp_path / "tree", lambda tree: faults.settings(tree, **values))
    with pytest.raises(InvalidRun, match=rf"{variable}: .*never taken from a folder"):
        reproduce.reproduce(str(other), elsewhere(tmp_path / "again"), [], anyway=False)


@pytest.mark.slow
def test_another_adapter_of_the_same_run_is_exit_4(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree.parent / runs.RUN_ID

    def ended(*_: object) -> in_python.LoadedRun:
        run = in_python.load(folder)
        run.summary["adapter"] = {"sha256": "f" * 64}
        return run

    monkeypatch.setattr(in_python, "run", ended)
    with pytest.raises(Abandoned, match=r"another adapter: SHA-256 f{64}, not .*overlapping"):
        reproduce.reproduce(str(tree), elsewhere(tmp_path), [], anyway=False)
    other = faults.planted(tree, tmp_path / "tree", other_versions)
    assert "torch: '1.0'" in reproduce.reproduce(str(other), elsewhere(tmp_path), [], anyway=True).reason


@pytest.mark.parametrize(("after", "interval", "alike"), [(0.95, (0.927, 0.966), True), (0.9, (0.87, 0.923), False)])
def test_another_training_is_alike_where_both_intervals_overlap(
    after: float, interval: tuple[float, float], alike: bool
) -> None:
    again = SimpleNamespace(evaluation={"primary": {"after": after, "after_interval": list(interval)}})
    known = reproduce.Known({}, "", (0.951, 0.982), "right answers", [])
    found, sentence = reproduce._within(again, known)  # type: ignore[arg-type]
    assert found == alike
    assert sentence.endswith(f"{'overlapping' if alike else 'apart from'} the published 0.951 to 0.982")


def test_the_command_refuses_what_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    command = [sys.executable, "-c", "from grpo_job.cli import main; main()", "reproduce", f"file://{tmp_path}/tree"]
    ended = subprocess.run(command, env=elsewhere(tmp_path), capture_output=True, text=True, check=False)
    assert ended.returncode == 2, json.dumps(ended.stderr)
    assert "has no files" in ended.stderr
