"""The closing lines of a run, made of its summary."""

import doctest
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import Interrupted
from grpo_job.run_folder import files, summary
from grpo_job.run_folder.files import read_json
from grpo_job.run_folder.summary import Summary, closing_lines


def test_doctests() -> None:
    assert doctest.testmod(summary).failed == 0


def test_a_run_that_ended_at_once_names_no_phases(tmp_path: Path) -> None:
    found = Summary(tmp_path / "summary.json", "run")
    found.write(Interrupted("SIGINT was received").outcome(), {"check": 0.1, "total": 0.6})
    assert closing_lines(found.values, tmp_path)[-2:] == ["time: 1 s", "interrupted (exit 75): SIGINT was received"]


def test_a_run_in_a_folder_that_was_renamed_is_named_by_the_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    first = Summary(old / "summary.json", "old")
    first.update(adapter={"path": str(old / "adapter"), "sha256": "a1"})
    first.write()
    old.rename(new)
    found = Summary(new / "summary.json", "new").values
    assert (found["run_id"], found["adapter"]) == ("new", {"path": str(new / "adapter"), "sha256": "a1"})


class ToldTurn:
    """A lock that tells when somebody waits for it."""

    def __init__(self) -> None:
        self.lock, self.wanted_twice, self._wanted = threading.RLock(), threading.Event(), 0

    def __enter__(self) -> None:
        self._wanted += 1
        if self._wanted == 2:
            self.wanted_twice.set()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_the_ending_of_another_thread_outlasts_a_write_that_was_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Summary(tmp_path / "summary.json", "run")
    found._turn = turn = ToldTurn()  # type: ignore[assignment]
    ending = Interrupted("SIGTERM was received").outcome()
    other = threading.Thread(target=lambda: (found.write(ending), turn.wanted_twice.set()))

    def slow_disk(file: Any, sync: Any = os.fsync) -> None:
        if threading.current_thread() is not other and not other.ident:
            other.start()
            turn.wanted_twice.wait()
        sync(file)

    monkeypatch.setattr(files.os, "fsync", slow_disk)
    found.write()
    other.join()
    found.write()
    assert read_json(found.path)["ending"]["code"] == ending.code
