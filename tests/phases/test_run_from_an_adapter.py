"""Whole runs that start from an adapter: what they are compared with, and what they resume to."""

import shutil
import signal
from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json, read_jsonl
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

ADAPTER = "adapter_model.safetensors"
# Neither rank nor alpha is the smoke recipe's: they are taken from the adapter.
FIRST = {"GRPO_RUN_ID": "first", "GRPO_LORA_RANK": "4", "GRPO_LORA_ALPHA": "12", "GRPO_MAX_STEPS": "2"}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    assert runs.finish(folder, FIRST, hooks=[WithoutReport()]) == 0
    return folder / "first"


@pytest.mark.slow
@pytest.mark.parametrize("beta", ["0", "0.04"])
@pytest.mark.parametrize("further", [{}, {"GRPO_WARM_START_STEPS": "3"}], ids=["grpo", "warm start"])
def test_a_cut_run_from_an_adapter_ends_with_the_bytes_of_a_whole_one(
    beta: str, further: dict[str, str], first: Path, tmp_path: Path
) -> None:
    given = {"GRPO_ADAPTER": str(first), "GRPO_BETA": beta, "GRPO_SAVE_STEPS": "1", **further}
    assert runs.finish(tmp_path / "whole", given, hooks=[WithoutReport()]) == 0
    hooks = [SignalAfterStep(2, signal.SIGKILL), WithoutReport()]
    assert runs.finish(tmp_path / "cut", given, hooks=hooks) != 0
    assert runs.finish(tmp_path / "cut", given) == 0
    assert runs.difference(runs.result(tmp_path / "whole"), runs.result(tmp_path / "cut")) == ""
    run = tmp_path / "cut" / runs.RUN_ID
    assert read_jsonl(run / "evaluation" / "before.jsonl") == read_jsonl(first / "evaluation" / "after.jsonl")
    told = read_json(run / "settings.json")
    assert (told["settings"]["lora_rank"], told["settings"]["lora_alpha"]) == (4, 12)
    assert told["from"]["lora_rank"] == "GRPO_ADAPTER"
    start = read_json(run / "environment.json")["start_adapter"]
    assert start == {"name": str(first), "sha256": read_json(first / "summary.json")["adapter"]["sha256"]}
    assert {path.name for path in (run / "adapter").iterdir() if path.is_dir()} == set()  # no reference is published
    card, report = (run / "adapter" / "README.md").read_text(), (run / "report.html").read_text()
    assert start["sha256"] in card
    assert start["sha256"] in report
    if beta != "0" and not further:
        assert read_jsonl(run / "metrics.jsonl")[0]["kl"] == pytest.approx(0.0, abs=1e-6)  # the start is the reference


@pytest.mark.slow
def test_another_adapter_of_the_same_name_is_another_run(first: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    shutil.copytree(first / "adapter", place)
    given = {"GRPO_ADAPTER": str(place), "GRPO_MAX_STEPS": "2"}
    assert runs.finish(tmp_path, given, hooks=[WithoutReport()]) == 0
    assert "already finished" in again(tmp_path, given)
    shutil.copyfile(tmp_path / runs.RUN_ID / "adapter" / ADAPTER, place / ADAPTER)
    said = again(tmp_path, given)
    assert "start_adapter: " in said
    assert "allowed: the same settings" in said


def again(folder: Path, given: dict[str, str]) -> str:
    attempt = runs.start(folder, given, hooks=[WithoutReport()])
    code = attempt.wait()
    return f"exit {code}: {attempt.said()}"
