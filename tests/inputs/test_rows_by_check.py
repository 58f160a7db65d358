"""A handful of row files through `grpo-job check --offline` itself: the exit code and what it tells."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.inputs import sample
from tests.inputs.row_files import as_csv, cache_of_its_own, file, jsonl, parquet, saved_to_disk
from tests.preflight.world import rows_of
from tests.test_cli import Invoke, invoke

__all__ = ["cache_of_its_own", "invoke"]

ROWS = rows_of(sample.TRAIN, 80)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
CHATS = [{"prompt": [{"role": "user", "content": row["question"]}], "gold": {"truth": row["answer"]}} for row in ROWS]
NESTED = {"GRPO_PROMPT_COLUMN": "prompt", "GRPO_ANSWER_COLUMN": "gold.truth"}

TAKEN: list[tuple[str, Callable[[Path], Path], dict[str, str]]] = [
    ("jsonl.gz", lambda folder: file(folder / "rows.jsonl.gz", gzip.compress(LINES.encode())), {}),
    ("utf-16", lambda folder: file(folder / "rows [1].jsonl", LINES.encode("utf-16")), {}),
    ("csv", lambda folder: as_csv(folder / "rows.csv", ROWS, delimiter=";"), {}),
    ("nested parquet", lambda folder: parquet(folder / "rows.parquet", CHATS), NESTED),
    ("save_to_disk", lambda folder: saved_to_disk(folder / "saved", ROWS), {}),
]
REFUSED: list[tuple[str, Callable[[Path], Path], str]] = [
    ("one byte", lambda folder: file(folder / "rows.jsonl", LINES.encode() + b"\xe9\n"), "line 81 holds the byte 0xe9"),
    ("a header", lambda folder: file(folder / "rows.csv", b"question,answer\n"), "it has no rows, only a header"),
    (
        "a dictionary",
        lambda folder: jsonl(folder / "rows.jsonl", [*ROWS, {"question": {"a": 1}}]),
        "in row 81 it holds",
    ),
    (
        "truncated",
        lambda folder: file(folder / "rows.jsonl.gz", gzip.compress(LINES.encode())[:200]),
        "its gzip data is",
    ),
]


def variables(rows: Path) -> dict[str, str]:
    return {"GRPO_RECIPE": "smoke", "GRPO_DATASET": str(rows), "GRPO_OUTPUT_DIR": str(rows.parent)}


@pytest.mark.parametrize(("build", "settings"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_rows_that_are_taken_pass(
    build: Callable[[Path], Path], settings: dict[str, str], tmp_path: Path, invoke: Invoke
) -> None:
    code, said, _ = invoke("check", "--offline", **variables(build(tmp_path)), **settings)
    assert code == 0, said
    assert "training on 72 of 72 rows" in said


@pytest.mark.parametrize(("build", "told"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_rows_that_are_refused_end_with_2_and_a_sentence(
    build: Callable[[Path], Path], told: str, tmp_path: Path, invoke: Invoke
) -> None:
    code, said, error = invoke("check", "--offline", **variables(build(tmp_path)))
    assert code == 2
    assert told in said
    assert told in error
    assert "Traceback" not in error
