"""Rows of a stranger that stand for more than any memory holds, or lead out of their folder, are one sentence."""

import bz2
import gzip
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from grpo_job.inputs import binary, content, files, folders
from grpo_job.inputs.content import Damaged
from tests.inputs.row_files import zstd

Pack = Callable[[bytes], bytes]
LIMIT = 100_000
ROW = b'{"question": "' + b"a" * 999 + b'", "answer": "1"}\n'


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MOST_UNPACKED", LIMIT)
    monkeypatch.setattr(binary, "MOST_UNPACKED", LIMIT)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_what_unpacks_to_more_than_memory_is_not_unpacked(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(pack(ROW * 1000))
    with pytest.raises(Damaged, match="data unpacks to more than 100,000 bytes; unpack it"):
        files.read(path, "question")
    path.write_bytes(pack(ROW * 90))
    assert len(files.read(path, "question").rows) == 90


def written(table: pyarrow.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
        return
    with pyarrow.ipc.new_file(path, table.schema, options=pyarrow.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write_table(table)


def columns(rows: int) -> pyarrow.Table:
    """Of one value, which Parquet writes once."""
    return pyarrow.table({"question": ["a" * 1000] * rows, "answer": ["1"] * rows})


def test_a_parquet_file_of_one_value_is_not_unpacked_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(columns(100_000), path)
    assert path.stat().st_size < LIMIT
    with pytest.raises(Damaged, match="unpacks to more than 100,000 bytes; split"):
        files.read(path, "question")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_dictionary_of_one_value_is_not_unpacked_as_a_whole(suffix: str, tmp_path: Path) -> None:
    cells = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 10**6, "int32"), pyarrow.array(["a" * 1000]))
    path = tmp_path / f"rows.{suffix}"
    written(pyarrow.table({"question": cells}), path)
    with pytest.raises(Damaged, match="unpacks to more than 100,000 bytes; split"):
        files.read(path, "question")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_that_need_no_bytes_are_counted(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "MOST_ROWS", 50)
    path, table = tmp_path / f"rows.{suffix}", pyarrow.table({"question": pyarrow.nulls(51)})
    written(table, path)
    with pytest.raises(Damaged, match="unpacks to more than 50 rows"):
        files.read(path, "question")


def readme(folder: Path, pattern: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: a\n  data_files: '{pattern}'\n---\n")


def test_a_folder_that_is_called_snapshots_makes_no_private_file_rows(tmp_path: Path) -> None:
    tree = tmp_path / "home" / "snapshots" / "rows"
    readme(tree, "train.jsonl")
    (tmp_path / "home" / "private.jsonl").write_bytes(ROW)
    (tree / "train.jsonl").symlink_to("../../private.jsonl")
    with pytest.raises(Damaged, match=re.escape("train.jsonl leads out of the folder")):
        folders.splits_of(tree, None)


def test_a_pattern_that_walks_through_all_folders_again_and_again_is_refused(tmp_path: Path) -> None:
    readme(tmp_path, "**/a*/**/b*/**/c*/**")
    with pytest.raises(Damaged, match=r"more than 2 times \*\*"):
        folders.splits_of(tmp_path, None)
    readme(tmp_path, "**/" * 30 + "*.jsonl")
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    assert folders.splits_of(tmp_path, None) == {"train": [tmp_path / "rows.jsonl"]}


def test_a_long_readme_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nconfigs:\n" + "#\n" * 2**20 + "---\n")
    with pytest.raises(Damaged, match="at most 1,048,576: shorten it"):
        folders.splits_of(tmp_path, None)
