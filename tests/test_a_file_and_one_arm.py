"""An engine and a store are each added by a descriptor, a file and an arm: `tests/toys` adds one of each."""

import ast
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job import engines, stores
from grpo_job.settings.engines import ENGINES
from grpo_job.settings.schemes import SCHEMES

DOOR = Path(__file__).parent / "toys" / "door.py"
SMALL = {
    "GRPO_RECIPE": "smoke", "GRPO_ENGINE": "toy", "GRPO_PUBLISH_TO": "mem://box/published",
    "GRPO_CHECKPOINT_TO": "mem://box/kept", "GRPO_MAX_STEPS": "2", "GRPO_EVAL_ROWS": "8", "GRPO_RUN_ID": "toy",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16", "GRPO_PROBE_PROMPTS": "0", "GRPO_MAX_HOURS": "1",
}  # fmt: skip


def door(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    environment = {**clean, **SMALL, "CUDA_VISIBLE_DEVICES": "", "GRPO_OUTPUT_DIR": str(folder), **variables}
    return subprocess.run(
        [sys.executable, str(DOOR), *command.split()], env=environment, capture_output=True, text=True, cwd=folder
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a finished run with both toys, and what the run printed."""
    outputs = tmp_path_factory.mktemp("outputs")
    run = door("run", outputs)
    assert run.returncode == 0, run.stdout + run.stderr
    return outputs / "toy", run.stdout


def test_check_examines_both(tmp_path: Path) -> None:
    checked = door("check --offline --json", tmp_path)
    found = json.loads(checked.stdout.partition("the toy store holds:")[0])
    assert (checked.returncode, found["ok"]) == (0, True), checked.stdout + checked.stderr
    sentences = {finding["name"]: finding["sentence"] for finding in found["findings"]}
    assert [word.split()[0] for word in sentences["locked versions"].split(", ")] == ["transformers", "peft"]
    assert "start 7 s" in sentences["time and cost"]
    assert "mem://box/" in sentences["destination"]


def test_a_refusal_names_both_among_what_is_allowed(tmp_path: Path) -> None:
    refused = door("check", tmp_path, GRPO_ENGINE="tay", GRPO_PUBLISH_TO="mom://box")
    assert "allowed: auto, unsloth, trl, toy" in refused.stderr
    assert "file:///folder, mem://box[/prefix]" in refused.stderr


def test_an_engine_that_runs_in_one_process_is_refused_for_two(tmp_path: Path) -> None:
    refused = door("check", tmp_path, GRPO_PROCESSES="2")
    said = "'toy' was given; it trains in one process, and this run has 2; allowed: trl, or GRPO_PROCESSES=1"
    assert said in refused.stderr


@pytest.mark.slow
def test_a_run_trains_with_the_engine_and_records_it(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    assert "the toy engine is built" in (folder / "libraries.log").read_text()
    assert json.loads((folder / "environment.json").read_text())["engine"] == "toy"
    assert "- toy\n" in (folder / "adapter/README.md").read_text()


@pytest.mark.slow
def test_a_run_publishes_and_mirrors_its_checkpoints_to_the_store(ran: tuple[Path, str]) -> None:
    held = json.loads(ran[1].partition("the toy store holds:")[2])
    assert "mem://box/published/adapter_model.safetensors" in held
    assert "mem://box/kept/toy/step-000002/manifest.json" in held


def test_every_descriptor_has_its_arm() -> None:
    assert cases_of(engines.build) == set(ENGINES)
    assert cases_of(stores.open_store) == set(SCHEMES)


def cases_of(function: object) -> set[str]:
    """The strings that the arms of a function's `match` name."""
    tree = ast.parse(inspect.getsource(function))  # type: ignore[arg-type]
    patterns = [node.value for node in ast.walk(tree) if isinstance(node, ast.MatchValue)]
    return {str(pattern.value) for pattern in patterns if isinstance(pattern, ast.Constant)}
