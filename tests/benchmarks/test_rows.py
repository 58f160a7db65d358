"""Yardsticks: held-out rows are never trained on, and those of one part are not those of the other."""

import json
from pathlib import Path

import pytest

from benchmarks.learning import rows

GENERATED = ("sums2", "sums3", "words")


def read(path: Path) -> list[rows.Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def problem(row: rows.Row) -> tuple[str, ...]:
    """What two questions share that ask for the same in other words or another order."""
    if "signature" in row:
        return (row["signature"],)
    return tuple(sorted(word.strip("?") for word in row["question"].split() if word[0].isdigit()))


@pytest.mark.parametrize("name", GENERATED)
def test_no_held_out_problem_is_trained_on_nor_in_both_parts(name: str, tmp_path: Path) -> None:
    trained = {problem(row) for seed in (1, 2) for row in read(rows.write(name, tmp_path, seed=seed)[0])}
    choose, report = (
        {problem(row) for row in read(rows.write(name, tmp_path, seed=1, part=part)[1])} for part in rows.PARTS
    )
    assert len(choose) == len(report) == rows.HELD_OUT_ROWS
    assert not trained & choose
    assert not trained & report
    assert not choose & report


@pytest.mark.parametrize("name", GENERATED)
def test_the_seed_draws_the_rows_to_train_on_and_nothing_else(name: str, tmp_path: Path) -> None:
    (first, held), (again, _), (other, still) = (
        tuple(path.read_text() for path in rows.write(name, tmp_path / str(n), seed=seed))
        for n, seed in enumerate((1, 1, 2))
    )
    assert first == again != other
    assert held == still
    assert len(first.splitlines()) == rows.TRAIN_ROWS


def test_sums_are_right(tmp_path: Path) -> None:
    for row in read(rows.write("sums3", tmp_path, seed=1)[0]):
        first, second = (int(word.strip("?")) for word in row["question"].split()[2::2])
        assert int(row["answer"]) == first + second


def test_gsm8k_is_reported_on_its_test_rows(tmp_path: Path) -> None:
    for split, number in (("train", 600), ("test", 7)):
        lines = (json.dumps({"question": f"{split} {n}", "answer": "1"}) + "\n" for n in range(number))
        (tmp_path / f"{split}.jsonl").write_text("".join(lines))
    train, report = rows.write("gsm8k", tmp_path / "rows", seed=1, part="report", gsm8k=tmp_path)
    choose = rows.write("gsm8k", tmp_path / "rows", seed=1, gsm8k=tmp_path)[1]
    assert {row["question"].split()[0] for row in read(report)} == {"test"}
    assert len(read(train)) == 100
    assert not {row["question"] for row in read(train)} & {row["question"] for row in read(choose)}


def test_gsm8k_without_its_folder_is_refused() -> None:
    with pytest.raises(SystemExit, match="--gsm8k"):
        rows.gsm8k_rows(None)
