"""A folder's splits are those that the `datasets` library finds by the names."""

from pathlib import Path

import pytest
from datasets.data_files import DataFilesDict, get_data_patterns

from grpo_job.inputs.folders import splits_of
from tests.inputs.row_files import jsonl, problems

LAYOUTS = [
    ["rows.jsonl"],
    ["a.jsonl", "b/c.jsonl"],
    ["train.jsonl", "test.jsonl"],
    ["train.jsonl", "test.jsonl", "extra.jsonl"],
    ["my_train.jsonl", "my_test.jsonl"],
    ["gsm8k-training-1.jsonl", "gsm8k-dev.jsonl", "gsm8k-eval.jsonl"],
    ["train1.jsonl", "train 2.jsonl", "test0.jsonl"],
    ["trained.jsonl", "contest.jsonl", "latest.jsonl"],
    ["Train.jsonl", "TEST.jsonl"],
    ["train/a.jsonl", "test/a.jsonl"],
    ["train/a.jsonl", "test/a.jsonl", "extra.jsonl"],
    ["main/train.jsonl", "main/test.jsonl", "socratic/train.jsonl"],
    ["train-2024/x/a.jsonl", "my-test/a.jsonl"],
    ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl", "data/test-00000-of-00001.jsonl"],
    ["data/train_sft-00000-of-00001.jsonl", "data/test_prefs-00000-of-00001-a1b2.jsonl"],
    ["data/train.jsonl", "data/validation.jsonl"],
    ["valid.jsonl", "evaluation.jsonl", "training.jsonl"],
    ["test_train.jsonl", "other.jsonl"],
    ["train.jsonl", ".hidden_test.jsonl", ".git/test.jsonl", "__pycache__/test.jsonl"],
    ["train.jsonl", "dataset_infos.json", "config.json"],
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=[" ".join(layout) for layout in LAYOUTS])
def test_the_splits_are_those_of_the_library(layout: list[str], tmp_path: Path) -> None:
    for name in layout:
        jsonl(tmp_path / name, problems(1))
    theirs = DataFilesDict.from_patterns(get_data_patterns(str(tmp_path)), base_path=str(tmp_path))
    expected = {str(split): sorted(Path(file) for file in files) for split, files in theirs.items()}
    found = splits_of(tmp_path, None)
    assert {split: sorted(files) for split, files in found.items()} == expected
