"""Lines at a terminal: wrapped between words, and whole where somebody copies them."""

import doctest
import os
import subprocess
import sys

import pytest

from grpo_job.monitoring import wrapping
from grpo_job.monitoring.wrapping import columns_of, wrapped

ASKS = "from grpo_job.monitoring.wrapping import *; print(columns_of(1) or 0, is_one_terminal())"


def test_doctests() -> None:
    assert doctest.testmod(wrapping).failed == 0


def test_lines_break_between_words_and_their_own_breaks_stay() -> None:
    assert wrapped("one two three\n\nfour", 9) == "one two\nthree\n\nfour"


@pytest.mark.parametrize(
    "line", ["adapter: /outputs/a-run-with-a-long-name/adapter", "to finish: grpo-job publish run --to hf://a/b"]
)
def test_a_path_and_a_command_stay_whole_for_whoever_copies_them(line: str) -> None:
    assert wrapped(line, 30) == line


def test_what_is_no_terminal_has_no_width_and_keeps_its_lines() -> None:
    read, write = os.pipe()
    assert columns_of(write) is None
    assert wrapped("word " * 100, None) == "word " * 100
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(("errors", "one"), [("terminal", True), ("pipe", False)])
def test_output_and_errors_of_one_terminal_are_known(errors: str, one: bool) -> None:
    ours, theirs = os.openpty()
    asked = subprocess.run(
        [sys.executable, "-c", ASKS], stdout=theirs, stderr=theirs if errors == "terminal" else subprocess.PIPE,
        check=False,
    )  # fmt: skip
    os.close(theirs)
    assert asked.returncode == 0
    assert os.read(ours, 100).split() == [b"0", str(one).encode()]
    os.close(ours)
