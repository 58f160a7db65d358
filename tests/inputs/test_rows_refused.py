"""A table of row files and folders that are damaged or something else: each refusal names the place and the cure."""

import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.inputs.row_files import (
    Refused,
    arrow,
    assert_refused,
    cache_of_its_own,
    file,
    given,
    holds,
    jsonl,
    parquet,
    problems,
    refusal,
    two_files,
    zstd,
)

__all__ = ["cache_of_its_own"]

LINES = "".join(json.dumps(row) + "\n" for row in problems(6)).encode()
LISTED = json.dumps(problems(6)).encode()
LINE = '{"question": "q", "answer": "1"}\n'


def truncated(path: Path, share: float = 0.5) -> Path:
    """The file, of which the end is lost."""
    content = path.read_bytes()
    return file(path, content[: int(len(content) * share)])


def columns_alone(folder: Path) -> Path:
    pyarrow.parquet.write_table(pyarrow.table({"question": ["q"]}).slice(0, 0), folder / "rows.parquet")
    return folder / "rows.parquet"


def one_column_twice(folder: Path) -> Path:
    table = pyarrow.Table.from_arrays([["q"], ["1"], ["2"]], names=["question", "answer", "answer"])
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    return folder / "rows.parquet"


DAMAGED = [
    # nothing in it
    *(holds(name, b"", "is empty") for name in ("r.jsonl", "r.json", "r.csv", "r.parquet", "r.arrow", "r.jsonl.gz")),
    holds("r.jsonl", "\n \n", "has no rows"),
    holds("r.json", "[]", "has no rows"),
    holds("r.json", '{"data": []}', "its columns (data), not rows"),
    holds("r.json", '{"version": 1, "data": []}', "has the columns version, data"),
    holds("r.csv", "question,answer\n", "has no rows, only a header"),
    holds("r.jsonl.gz", gzip.compress(b""), "has no rows"),
    given("parquet of no rows", columns_alone, "it has no rows, only the columns question"),
    # truncated, or of another kind than its name says
    given(
        "gzip truncated",
        lambda f: truncated(file(f / "r.jsonl.gz", gzip.compress(LINES))),
        "its gzip data is truncated",
    ),
    given(
        "gzip damaged",
        lambda f: file(f / "r.csv.gz", gzip.compress(LINES)[:30] + b"\0" * 30),
        "gzip data",
        "copy the file",
    ),
    given("zstd truncated", lambda f: truncated(file(f / "r.jsonl.zst", zstd(LINES))), "its zstd data is truncated"),
    given(
        "parquet truncated",
        lambda f: truncated(parquet(f / "r.parquet", problems(6))),
        "it is truncated",
        "copy or write",
    ),
    given(
        "arrow truncated",
        lambda f: truncated(arrow(f / "r.arrow", problems(6)), 0.7),
        "it is truncated",
        "copy or write",
    ),
    holds("r.parquet", LINES, "it is not Parquet"),
    holds("r.arrow", LINES, "it is not Arrow"),
    holds("r.jsonl", LINES[:-20], "line 6 is not JSON", "at column"),
    holds("r.json", LISTED[:-20], "line 1 is not JSON", "at column"),
    holds("r.parquet", "version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS", "git lfs pull"),
    # encodings
    holds("r.jsonl", b"\xef\xbb\xbf" + LINES + b"\xe9\n", "line 7 holds the byte 0xe9"),
    holds("r.jsonl", LINES + b'{"question": "caf\xe9"}\n', "line 7 holds the byte 0xe9, which is not UTF-8; save"),
    holds("r.csv", b"question,answer\nq,1\n\x80,2\n", "line 3 holds the byte 0x80"),
    holds(
        "r.jsonl", ("\ufeff" + LINE).encode("utf-16-le") + b"\0\xdc", "line 2 holds the byte 0x00, which is not UTF-16"
    ),
    holds(
        "r.jsonl", LINE * 2 + '{"question": "q \\ud83d", "answer": "1"}', "row 3 holds half of a character, '\\ud83d'"
    ),
    # JSON that is something else than rows
    holds("r.jsonl", LINE + "\n" + '{"question": \n', "line 3 is not JSON: Expecting value at column"),
    holds("r.json", '[\n{"a": 1},\n{"a": 2},\n]', "line 4 is not JSON", "allowed: one object per line"),
    holds("r.jsonl", LINE + '["q", "1"]\n', "line 2 holds a value of type list, not an object"),
    holds("r.jsonl", LINE + "null\n", "line 2 holds a value of type NoneType"),
    holds("r.json", '["q1", "q2"]', "row 1 holds a value of type str"),
    holds("r.json", '"question"', "a value of type str; allowed: one object per line"),
    holds("r.json", '{"question": ["q"], "answer": ["1"]}', "its columns (question, answer), not rows"),
    holds("r.json", '{"question": {"0": "q"}, "answer": {"0": "1"}}', "its columns (question, answer), not rows"),
    holds(
        "r.json",
        json.dumps({f"train_{number}": row for number, row in enumerate(problems(3000))}),
        "its rows by name (train_0, train_1, train_2 and 2,997 more), not as a list; allowed: one object per line",
    ),
    holds("r.json", '{"a": [{"q": 1}], "b": [{"q": 2}]}', "several lists of objects (a, b); save each as a file"),
    holds("r.jsonl", LINE + '{"question": "q", "question": "p"}\n', "line 2: an object has the key 'question' twice"),
    holds("r.json", "[" * 100_000, "line 1 is nested too deeply"),
    holds("r.jsonl", LINE + '{"question": "q", "answer": ' + "1" * 5000 + "}\n", "line 2: Exceeds the limit"),
    # CSV
    holds(
        "r.csv", "question,answer\nq,1\nq, or p,1\n", "line 3 has 3 fields, the header 2; quote a field that holds ','"
    ),
    holds("r.csv", "question;answer\nq;1\nq\n", "line 3 has 1 fields, the header 2"),
    holds("r.csv", 'question,answer\n"q,1\np,2\n', "is not CSV: unexpected end of data"),
    holds("r.csv", "question,answer,answer\nq,1,2\n", "two columns named 'answer'; name each column once"),
    given("parquet with a name twice", one_column_twice, "two columns named 'answer'"),
    # formats that are not read
    *(
        holds(name, b"rows", "allowed: a file, or a folder with files, of .jsonl")
        for name in ("r.txt", "r.xlsx", "r.zip", "r")
    ),
    holds("r.parquet.gz", b"rows", "the text ones also with .gz"),
    given("a folder of nothing", lambda f: f, "holds no file of rows; allowed: a file"),
    given("a folder of texts", lambda f: file(f / "notes.txt", b"x").parent, "holds no file of rows"),
    given("a pattern", lambda f: str(f / "*.jsonl"), "there is no such file or folder"),
    given(
        "a damaged file of two",
        lambda f: file(two_files(f) / "c.jsonl", b"{").parent,
        "it cannot be read: c.jsonl: line 1",
    ),
]


@pytest.mark.parametrize("case", DAMAGED, ids=[case[0] for case in DAMAGED])
def test_what_holds_no_rows_is_refused_with_the_place_and_the_cure(case: Refused, tmp_path: Path) -> None:
    assert_refused(case, tmp_path)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = jsonl(tmp_path / "rows.jsonl", problems(6))
    monkeypatch.setattr(Path, "open", denied)
    assert "it cannot be read: [Errno 13] Permission denied" in refusal(path)
