"""`.eval_results/*.yaml` in the format of the Hub, and only for a whole benchmark."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from grpo_job import reports
from grpo_job.phases import published_tree
from grpo_job.reports import hub_results
from grpo_job.run_folder.files import read_json, write_json
from tests.reports.conftest import WriteRun


def told(run: Path, **settings: Any) -> Path:
    found = read_json(run / "settings.json")
    write_json(run / "settings.json", {**found, "settings": {**found["settings"], **settings}})
    return run


@pytest.fixture
def whole(write_run: WriteRun) -> Path:
    run = write_run(steps=0, rows=hub_results.BENCHMARKS["openai/gsm8k"].rows, model="Qwen/Qwen2.5-3B-Instruct")
    return told(run, dataset_config="main", eval_split="test", eval_dataset=None)


def test_the_whole_test_split_is_a_result_that_the_hub_shows(whole: Path, tmp_path: Path) -> None:
    reports.write_card(whole)
    path = whole / "adapter" / ".eval_results" / "grpo-job.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text(encoding="utf-8")))
    judged = read_json(whole / "evaluation" / "evaluation.json")["correct_lenient"]
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("openai/gsm8k", "gsm8k", "e53f" * 10)
    assert entry.value == round(100 * judged["after"], 2)
    tree = tmp_path / "tree"
    tree.mkdir()
    published_tree.gather(whole, tree)
    assert (tree / hub_results.FILE).is_file()
    assert str(hub_results.FILE) in read_json(tree / "manifest.json")["files"]


@pytest.mark.parametrize(
    "settings", [{"dataset_config": "socratic"}, {"eval_split": "train"}, {"eval_dataset": "openai/gsm8k"}]
)
def test_other_rows_are_no_benchmark(settings: dict[str, Any], whole: Path) -> None:
    reports.write_card(whole)
    reports.write_card(told(whole, **settings))
    assert not (whole / "adapter" / hub_results.FILE).exists()


def test_a_part_of_the_rows_is_no_benchmark(write_run: WriteRun) -> None:
    run = told(write_run(steps=0, rows=300, model="Qwen/Qwen2.5-3B-Instruct"), eval_split="test")
    reports.write_card(run)
    assert not (run / "adapter" / hub_results.FILE).exists()
