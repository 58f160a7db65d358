"""A run lock's renewals beside its release."""

import json
import threading
from pathlib import Path

import pytest

from grpo_job.checkpoints import RunLock
from grpo_job.outcomes import RunLocked
from grpo_job.stores import open_store


def test_a_renewal_under_way_never_overwrites_what_is_left_for_the_next_attempt(tmp_path: Path) -> None:
    remote, begun, left = open_store(f"file://{tmp_path}/mirror"), threading.Event(), threading.Event()
    write = remote.write

    def slow(name: str, content: bytes) -> None:
        if b"released" in content:
            write(name, content)
            left.set()
        else:
            begun.set()
            left.wait(0.5)  # a release that does not wait for this renewal comes first
            write(name, content)

    remote.write = slow  # type: ignore[method-assign]
    lock = RunLock(tmp_path / "run", remote, 0.05, lambda reason: None)
    lock.acquire()
    assert begun.wait(60)
    lock.leave({"ended_with": 0})
    assert lock.release() == ""
    (claim,) = (json.loads(path.read_text()) for path in (tmp_path / "mirror" / "lease").glob("*.json"))
    assert (claim["released"], claim["left"]) == (True, {"ended_with": 0})


def test_a_run_folder_that_is_gone_is_known_to_have_been_worked_on_and_a_refused_attempt_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = open_store(f"file://{tmp_path}/mirror")
    killed = RunLock(tmp_path / "first", remote, 60, lambda reason: None)
    killed.acquire()
    refused = RunLock(tmp_path / "second", remote, 60, lambda reason: None)
    monkeypatch.setattr(refused.there[0], "acquire", lambda: (_ for _ in ()).throw(RunLocked("it is held")))
    with pytest.raises(RunLocked):
        refused.acquire()
    killed.locks.unlock(keep_file=True)
    after = RunLock(tmp_path / "second", remote, 0.05, lambda reason: None)
    assert (after.acquire(), after.here.found) == ({"attempts": 1}, {})
