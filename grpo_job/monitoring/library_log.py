"""Redacts what libraries and C code write on its way to a file.

A process of its own does it: what a crash wrote last still arrives, and C code that holds Python's lock never waits for
Python to read. It ends when nobody can write any more.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from grpo_job.outcomes import starting_a_process
from grpo_job.settings.own_process import finding_this_package
from grpo_job.settings.redaction.redactor import REDACTOR, Redactor

DRAINED = b"\0all was written before this\0"
DRAIN_SECONDS = 10.0
END_SECONDS = 0.5  # a process that a library started may write for longer: then the filter goes on
LONGEST_LINE = 1 << 16


@contextmanager
def libraries_write_to(path: Path) -> Iterator[None]:
    """Redirect standard output and error to `path`, also those of C code. Progress keeps its own copy."""
    with path.open("ab") as file, _redacted_into(file):
        yield


@contextmanager
def libraries_write_to_stderr() -> Iterator[None]:
    """The same to standard error, as it is now."""
    with os.fdopen(os.dup(2), "ab") as file, _redacted_into(file):
        yield


@contextmanager
def _redacted_into(file: BinaryIO) -> Iterator[None]:
    if not REDACTOR.secrets or file.name == os.devnull:
        with _redirected(file.fileno()):
            yield
        return
    written, drained, process = _filter_into(file)
    with written, drained:
        written.write(json.dumps(REDACTOR.secrets).encode() + b"\n")
        try:
            with _redirected(written.fileno()):
                yield
        finally:
            with suppress(BrokenPipeError):
                written.write(DRAINED)
                select.select([drained], [], [], DRAIN_SECONDS)
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)


def _filter_into(file: BinaryIO) -> tuple[BinaryIO, BinaryIO, "subprocess.Popen[bytes]"]:
    """What to write to, what answers when all is written, and the process between them and `file`."""
    (source, written), (drained, answer) = os.pipe(), os.pipe()
    command = [sys.executable, "-P", "-m", "grpo_job.monitoring.library_log", str(answer)]
    environment = finding_this_package(os.environ)  # noqa: TID251 -- nothing of it is read, all is passed on
    # In a session of its own: Ctrl-C in a terminal must not end it before those who write.
    with starting_a_process():
        process = subprocess.Popen(
            command, env=environment, stdin=source, stdout=file, pass_fds=[answer], start_new_session=True
        )
    os.close(source)
    os.close(answer)
    return os.fdopen(written, "wb", buffering=0), os.fdopen(drained, "rb", buffering=0), process


@contextmanager
def _redirected(descriptor: int) -> Iterator[None]:
    _flush()
    saved = os.dup(1), os.dup(2)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        _flush()
        for number, kept in enumerate(saved, start=1):
            os.dup2(kept, number)
            os.close(kept)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def follow(source: int, log: int, answer: int) -> None:
    """Write what comes from `source` to `log`, whole lines at a time. The first line is the secrets, as JSON."""
    first, waiting = b"", b""
    while b"\n" not in first:
        if not (read := os.read(source, LONGEST_LINE)):
            return
        first += read
    secrets, _, waiting = first.partition(b"\n")
    redactor, read = Redactor(json.loads(secrets)), b"\n"
    while read:
        waiting, end = waiting.replace(DRAINED, b""), DRAINED in waiting
        whole = len(waiting) if end or len(waiting) > LONGEST_LINE else _end_of_lines(waiting)
        with suppress(OSError):  # a full disk must not stop who writes
            os.write(log, redactor.content(waiting[:whole]))
        waiting = waiting[whole:]
        if end:
            os.write(answer, b"\n")
        read = os.read(source, LONGEST_LINE)
        waiting += read
    os.write(log, redactor.content(waiting))


def _end_of_lines(text: bytes) -> int:
    """Where the last whole line ends; progress bars end theirs with a carriage return."""
    return max(text.rfind(b"\n"), text.rfind(b"\r")) + 1


if __name__ == "__main__":
    follow(0, 1, int(sys.argv[1]))
