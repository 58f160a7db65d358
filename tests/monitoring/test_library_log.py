"""What libraries and C code write arrives in the log, whole and without secrets, however the writers end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grpo_job.monitoring.library_log import libraries_write_to, libraries_write_to_stderr
from grpo_job.settings.redaction.redactor import REDACTOR


@pytest.fixture(autouse=True)
def secret() -> None:
    REDACTOR.know(["a_secret"])


def test_writes_of_any_kind_arrive_in_order_and_redacted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "libraries.log"
    log.write_text("earlier\n")
    with libraries_write_to(log):
        os.write(1, b"printed a_secret\n")
        os.write(1, b"written a_sec")
        os.write(2, b"ret \xff\n")
        subprocess.run(["sh", "-c", "echo by a child: a_secret >&2"], check=True)
        os.write(1, b"a bar\rof a_secret, unfinished")
    os.write(1, b"after\n")
    expected = (
        "earlier\nprinted [secret]\nwritten [secret] \udcff\nby a child: [secret]\na bar\rof [secret], unfinished"
    )
    assert log.read_bytes().decode(errors="surrogateescape") == expected
    assert capfd.readouterr().out == "after\n"


def test_a_line_longer_than_the_pipe_is_written_whole(tmp_path: Path) -> None:
    with libraries_write_to(tmp_path / "log"):
        os.write(1, b"x" * 300_000)
    assert (tmp_path / "log").read_text() == "x" * 300_000


def test_what_a_crash_wrote_last_arrives(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from grpo_job.monitoring.library_log import libraries_write_to
from grpo_job.settings.redaction.redactor import REDACTOR
REDACTOR.know(["a_secret"])
with libraries_write_to(Path({str(tmp_path / "log")!r})):
    os.write(2, b"the last words: a_secret")
    os._exit(3)
"""
    crashed = subprocess.run([sys.executable, "-c", code], check=False)
    assert crashed.returncode == 3
    while not (tmp_path / "log").read_bytes():  # the filter outlives who writes
        time.sleep(0.01)
    assert (tmp_path / "log").read_text() == "the last words: [secret]"


def test_a_full_disk_stops_no_writer() -> None:
    with libraries_write_to(Path("/dev/full")):
        os.write(1, b"lost\n")


def test_output_can_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with libraries_write_to_stderr():
        os.write(1, b"a_secret\n")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "[secret]\n")
