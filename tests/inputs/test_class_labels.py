"""Labels that a file stores as numbers and names in its features: every format gives the names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest

from grpo_job.inputs.class_labels import in_schema, named
from tests.inputs.row_files import cache_of_its_own, jsonl, load, readme

__all__ = ["cache_of_its_own"]

NUMBERS = [{"question": f"film {number}", "answer": number % 2} for number in range(40)]
SENTIMENT = datasets.Features(
    {"question": datasets.Value("string"), "answer": datasets.ClassLabel(names=["neg", "pos"])}
)
LABEL = {"_type": "ClassLabel", "names": ["neg", "pos"]}
INFO = """
dataset_info:
  features:
  - name: question
    dtype: string
  - name: answer
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
"""


def written() -> datasets.Dataset:
    datasets.disable_progress_bars()
    return datasets.Dataset.from_list(NUMBERS, features=SENTIMENT)


def parquet(folder: Path) -> Path:
    written().to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def saved(folder: Path) -> Path:
    written().save_to_disk(folder)
    return folder


def arrow(folder: Path) -> Path:
    return next(saved(folder).glob("*.arrow"))


def named_in_readme(folder: Path) -> Path:
    return readme(jsonl(folder / "train.jsonl", NUMBERS).parent, INFO)


def of_a_configuration(folder: Path) -> Path:
    info = INFO.replace("dataset_info:\n  features:", "dataset_info:\n- config_name: en\n  features:")
    configs = (
        "configs:\n- config_name: en\n  data_files: a.jsonl\n- config_name: de\n  default: true\n  data_files: b.jsonl"
    )
    jsonl(folder / "b.jsonl", NUMBERS)
    return readme(jsonl(folder / "a.jsonl", NUMBERS).parent, info + configs)


@pytest.mark.parametrize("build", [parquet, arrow, saved, named_in_readme])
def test_the_answers_are_the_names_of_the_classes(build: Callable[[Path], Path], tmp_path: Path) -> None:
    rows = load(build(tmp_path))
    assert {row["answer"] for row in rows.train} == {"neg", "pos"}
    assert '"answer": "neg"' in next(row["columns"] for row in rows.train if row["answer"] == "neg")


def test_only_the_configuration_whose_columns_they_are_has_them(tmp_path: Path) -> None:
    folder = of_a_configuration(tmp_path)
    answers = {name: {row["answer"] for row in load(folder, dataset_config=name).train} for name in ("en", "de")}
    assert answers == {"en": {"neg", "pos"}, "de": {"0", "1"}}


@pytest.mark.parametrize(
    ("feature", "value", "shown"),
    [
        (LABEL, 2, 2),  # a number that no name has
        (LABEL, -1, None),
        (LABEL, None, None),
        (LABEL, "pos", "pos"),
        ([LABEL], [0, 1], ["neg", "pos"]),
        ({"_type": "List", "feature": LABEL}, [0, 1], ["neg", "pos"]),
        ({"feature": {"tag": LABEL}}, {"tag": [0, 1], "at": [3]}, {"tag": ["neg", "pos"], "at": [3]}),
        ({"tag": LABEL}, {"tag": 1, "other": 1}, {"tag": "pos", "other": 1}),
    ],
)  # fmt: skip
def test_labels_inside_of_others_are_found(feature: Any, value: Any, shown: Any) -> None:
    assert named([{"label": value, "number": 1}], {"label": feature}) == [{"label": shown, "number": 1}]


@pytest.mark.parametrize("metadata", [None, {b"huggingface": b"{"}, {b"huggingface": b"[]"}, {b"pandas": b"{}"}])
def test_a_file_of_another_program_names_no_classes(metadata: dict[bytes, bytes] | None) -> None:
    assert in_schema(pyarrow.schema([("a", pyarrow.int64())], metadata)) == {}
