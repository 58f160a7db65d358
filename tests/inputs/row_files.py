"""Files of rows, as users have them, and how they are loaded or refused."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
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


def as_csv(path: Path, rows: Sequence[Row], encoding: str = "utf-8", **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), **how)
        writer.writeheader()
        writer.writerows(rows)
    return path


def file(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def readme(folder: Path, header: str) -> Path:
    """A README whose front matter is `header`."""
    return file(folder / "README.md", f"---\n{header.strip()}\n---\nRows.\n".encode()).parent


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def arrow(path: Path, rows: Sequence[Row]) -> Path:
    table = pyarrow.Table.from_pylist(list(rows))
    with pyarrow.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)
    return path


def arrow_file(path: Path, rows: Sequence[Row]) -> Path:
    table = pyarrow.Table.from_pylist(list(rows))
    with pyarrow.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def zstd(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def saved_to_disk(folder: Path, rows: Sequence[Row] | Mapping[str, Sequence[Row]]) -> Path:
    """A `Dataset`, or of several splits a `DatasetDict`."""
    import datasets

    datasets.disable_progress_bars()
    if isinstance(rows, Mapping):
        splits = {name: datasets.Dataset.from_list(list(part)) for name, part in rows.items()}
        datasets.DatasetDict(splits).save_to_disk(folder)
    else:
        datasets.Dataset.from_list(list(rows)).save_to_disk(folder)
    return folder


WRITERS = {"rows.jsonl": jsonl, "rows.json": as_json, "rows.csv": as_csv, "rows.parquet": parquet}


def refusal(source: Path | str, **given: Any) -> str:
    with pytest.raises(InvalidRun) as caught:
        load(source, **given)
    return str(caught.value)


Build = Callable[[Path], Path | str]
Refused = tuple[str, Build, Mapping[str, Any], tuple[str, ...]]  # its name, what is built, settings, what is told


def holds(name: str, content: bytes | str, *told: str, **settings: Any) -> Refused:
    """A file with this content."""
    raw = content.encode() if isinstance(content, str) else content
    return f"{name}: {told[0]}", lambda folder: file(folder / name, raw), settings, told


def given(name: str, build: Build, *told: str, **settings: Any) -> Refused:
    return name, build, settings, told


def assert_refused(case: Refused, folder: Path) -> None:
    """The sentence names the variable, the place and the cure, and is short."""
    _, build, settings, told = case
    said = refusal(build(folder), **settings)
    assert said.startswith("GRPO_")
    for words in told:
        assert words in said
    assert len(said) < 700


def two_files(folder: Path) -> Path:
    jsonl(folder / "rows" / "a.jsonl", problems(6))
    return jsonl(folder / "rows" / "b.jsonl", [*problems(2), {"question": "q", "answer": {"value": 1}}]).parent
