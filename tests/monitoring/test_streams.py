"""Printing never fails: real descriptors that are closed, full, without a reader, or slow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.monitoring.streams import lasting

ROOT = Path(__file__).parents[2]
STORY = """
import sys
from grpo_job.runtime.signals import Interruption
Interruption().install()
for number in range(2000): print("line", number, "±"); print("more", file=sys.stderr)
sys.stdout.flush()
open(sys.argv[1], "w").write("reached the end")
"""


def ran(tmp_path: Path, redirection: str, **environment: str) -> str:
    """What a program that prints much has written in the end, run by a shell with this redirection."""
    command = f'"{sys.executable}" -c "$STORY" "{tmp_path}/done" {redirection}'
    subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env={**os.environ, **environment, "STORY": STORY}, timeout=120, check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return (tmp_path / "done").read_text()


@pytest.mark.parametrize(
    "redirection", [">/dev/full 2>&1", "2>&1 | true", "2>&1 | head -1", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"]
)
def test_a_program_outlives_the_reader_of_what_it_prints(tmp_path: Path, redirection: str) -> None:
    assert ran(tmp_path, redirection) == "reached the end"


def test_no_locale_keeps_a_character_from_being_printed(tmp_path: Path) -> None:
    assert ran(tmp_path, ">/dev/null", PYTHONIOENCODING="ascii", LC_ALL="C") == "reached the end"


def test_a_slow_reader_of_a_descriptor_that_does_not_block_gets_every_line() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.PIPE) as cat:
        os.close(reader)
        out = lasting(writer)
        for number in range(20_000):
            print(number, file=out)
        out.close()
        assert cat.stdout is not None
        assert cat.stdout.read().split() == [str(number).encode() for number in range(20_000)]
