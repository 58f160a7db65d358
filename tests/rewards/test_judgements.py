"""Each line of `judged.jsonl` is believed by itself: what is damaged is asked for again, and pays nothing by chance."""

import json
from pathlib import Path

import pytest

from grpo_job.rewards.judgements import Judged, Judgements, lines_of, read_line

GOOD = Judged(0.75, calls=2, tokens=31)


@pytest.fixture
def line(tmp_path: Path) -> str:
    """As the job writes it."""
    judgements = Judgements()
    judgements.keep_in(tmp_path / "judged.jsonl")
    judgements.add("what was asked", GOOD)
    (written,) = lines_of(tmp_path / "judged.jsonl")
    return written


def test_a_line_is_read_as_it_was_written(line: str) -> None:
    assert read_line(line) == ("what was asked", GOOD)


def test_a_line_of_an_earlier_version_has_no_digest(line: str) -> None:
    assert read_line(json.dumps(json.loads(line)[:-1])) == ("what was asked", GOOD)


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.75", "0.85"), ("0.75", "null"), ("asked", "asket"), ("31", "1"), ('"what', '"'), ("2", "3")],
)
def test_a_changed_letter_is_noticed(old: str, new: str, line: str) -> None:
    assert old in line
    assert read_line(line.replace(old, new, 1)) is None


@pytest.mark.parametrize(
    "damaged",
    ["", "{}", "null", "[]", "[1, 2]", '["a", "b", 1, 1, ""]', '["a", {}, 1, 1, ""]', "[" * 100_000, "\ufffd", '["a"'],
)
def test_what_is_no_judgement_is_none(damaged: str) -> None:
    assert read_line(damaged) is None


def test_of_a_file_the_good_lines_count(line: str, tmp_path: Path) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_bytes(b"\xff\xfe garbage\n" + line.replace("0.75", "0.25").encode() + b"\n" + line.encode() + b"\n[1,\n")
    judgements = Judgements()
    judgements.keep_in(file)
    assert judgements.known == {"what was asked": GOOD}
    assert (judgements.calls, judgements.tokens) == (2, 31)
