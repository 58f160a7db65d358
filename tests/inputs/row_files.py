"""Files of rows, as users have them, and how they are loaded or refused."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from grpo_job.inputs import dataset
from grpo_job.inputs.dataset import Rows
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.schema import Settings

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def words(prompts: Sequence[list[dict[str, str]]]) -> list[int]:
    """A token counter that counts words."""
    return [sum(len(message["content"].split()) for message in prompt) for prompt in prompts]


def load(source: Path | str, *, needs_gold: bool = True, **given: Any) -> Rows:
    settings = {"num_generations": 4, "per_device_train_batch_size": 4, **given}
    return dataset.load(Settings(dataset=str(source), **settings), words, needs_gold=needs_gold)


def problems(number: int, first: int = 0) -> list[Row]:
    return [
        {"question": f"What is {n} plus {n}?", "answer": f"{n}+{n} #### {2 * n}"} for n in range(first, first + number)
    ]


def jsonl(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_json(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def as_csv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_list(list(rows)).to_parquet(path)
    return path


WRITERS = {"rows.jsonl": jsonl, "rows.json": as_json, "rows.csv": as_csv, "rows.parquet": parquet}


def refusal(source: Path | str, **given: Any) -> str:
    with pytest.raises(InvalidRun) as caught:
        load(source, **given)
    return str(caught.value)
