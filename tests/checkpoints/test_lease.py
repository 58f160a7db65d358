"""One attempt at a time works on a run: leases over a folder, over S3 and over the Hub."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from grpo_job.checkpoints import RunLock
from grpo_job.checkpoints.lease import Claim, HolderLocks, Lease
from grpo_job.outcomes import RunLocked
from grpo_job.stores import Store, open_store

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}")


@pytest.fixture
def short_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a lease in a process of its own looks often."""
    often = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(min(seconds, 0.02)))
    monkeypatch.setattr("grpo_job.checkpoints.lease.time", often)


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a holder fails."""
    monkeypatch.setattr(Lease, "_wait", lambda *_: pytest.fail("a holder was waited for"))


def lease(store: Store, holder: str, *, gone: tuple[str, ...] = (), seconds: float = SECONDS) -> Lease:
    return Lease(store, holder, seconds, lambda name: name in gone)


def renewing(holder: Lease) -> Callable[[str], bool]:
    """The `is_gone` of a contender whose every look is followed by a renewal."""
    return lambda name: bool(holder.renew())  # type: ignore[func-returns-value]


def until_all_have_waited(contenders: int) -> Callable[[Lease, Claim], Claim]:
    """A `_wait` in which the holder stays silent, and which ends for all at once."""
    over = threading.Barrier(contenders)

    def wait(_: Lease, first: Claim) -> Claim:
        over.wait()
        return first

    return wait


def test_the_first_attempt_takes_the_run_at_once(store: Store) -> None:
    first = lease(store, "first", seconds=60)
    first.acquire()
    assert json.loads(store.read("lease/000001.json") or b"")["holder"] == "first"


def test_a_holder_that_renews_keeps_the_run(store: Store) -> None:
    first = lease(store, "first")
    first.acquire()
    with pytest.raises(RunLocked, match="first works on this run"):
        Lease(store, "second", SECONDS, renewing(first)).acquire()
    first.assert_held()


def test_a_holder_that_is_silent_for_the_length_of_a_lease_loses_the_run(store: Store, clock: list[float]) -> None:
    first, second = lease(store, "first"), lease(store, "second")
    first.acquire()
    second.acquire()
    assert clock[0] == pytest.approx(SECONDS)
    assert second.number == 2
    for does in (first.assert_held, first.renew, first.release):
        with pytest.raises(RunLocked, match="second has taken the run over"):
            does()
    second.renew()


def test_a_holder_that_is_known_to_be_gone_is_not_waited_for(store: Store, no_wait: None) -> None:
    lease(store, "first").acquire()
    lease(store, "second", gone=("first",), seconds=60).acquire()


def test_a_holder_that_goes_while_one_waits_is_waited_for_no_longer(store: Store) -> None:
    lease(store, "first").acquire()
    looks = iter([False, False, True])
    Lease(store, "second", SECONDS, lambda name: next(looks)).acquire()
    assert list(looks) == []


def test_a_released_run_is_taken_at_once_with_what_was_left_for_the_next(store: Store) -> None:
    first, second = lease(store, "first"), lease(store, "second", seconds=60)
    first.acquire()
    first.left = {"ended_with": 0}
    first.release()
    second.acquire()
    assert second.found == {"ended_with": 0}


def test_what_was_left_survives_a_holder_that_was_killed_at_once_and_counts_it(store: Store) -> None:
    first, third = lease(store, "first"), lease(store, "third", gone=("second",), seconds=60)
    first.acquire()
    first.left = {"attempts": 1, "lost_to_resume": 3}
    first.release()
    lease(store, "second").acquire()
    third.acquire()
    assert third.found == {"attempts": 2, "lost_to_resume": 3}


def test_of_two_that_waited_for_the_same_holder_one_takes_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease(store, "dead").acquire()
    monkeypatch.setattr(Lease, "_wait", until_all_have_waited(3))
    outcomes: list[str] = []

    def contend(name: str) -> None:
        try:
            lease(store, name).acquire()
            outcomes.append("holds")
        except RunLocked:
            outcomes.append("held")

    contenders = [threading.Thread(target=contend, args=(name,)) for name in ("a", "b", "c")]
    for contender in contenders:
        contender.start()
    for contender in contenders:
        contender.join()
    assert sorted(outcomes) == ["held", "held", "holds"]


def test_a_store_that_lists_late_does_not_hide_a_holder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease(store, "first").acquire()
    lease(store, "second", gone=("first",)).acquire()
    monkeypatch.setattr(store, "list", lambda name="": [])
    third = lease(store, "third", gone=("second",), seconds=60)
    third.acquire()
    assert third.number == 3


HOLD = """
import sys, time
from pathlib import Path
from grpo_job.checkpoints import RunLock
run_lock = RunLock(Path(sys.argv[1]), None, float(sys.argv[2]), lambda reason: print("lost:", reason, flush=True))
run_lock.acquire()
print("holds", flush=True)
time.sleep(600)
"""


class Holder:
    """A process that holds the run in `folder`."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.says() == "holds"

    def says(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.communicate()


def run_lock(folder: Path, seconds: float, remote: Store | None = None) -> RunLock:
    return RunLock(folder, remote, seconds, lambda reason: None)


def test_a_killed_process_is_succeeded_at_once_in_the_same_folder(tmp_path: Path, no_wait: None) -> None:
    with Holder(tmp_path, 60) as holder:
        holder.popen.kill()
        holder.popen.wait()
        run_lock(tmp_path, 60).acquire()


@pytest.mark.usefixtures("short_sleeps")
def test_a_live_process_keeps_its_run(tmp_path: Path) -> None:
    with Holder(tmp_path, 0.5), pytest.raises(RunLocked, match="works on this run"):
        run_lock(tmp_path, 60).acquire()


def test_a_frozen_process_loses_its_run_and_learns_it_when_it_wakes(tmp_path: Path) -> None:
    with Holder(tmp_path, 0.5) as holder:
        os.kill(holder.popen.pid, signal.SIGSTOP)
        os.waitpid(holder.popen.pid, os.WUNTRACED)  # it may renew until it is stopped
        successor = run_lock(tmp_path, 0.5)
        successor.acquire()
        os.kill(holder.popen.pid, signal.SIGCONT)
        assert holder.says().startswith(f"lost: {successor.locks.holder} has taken the run over")
        successor.assert_held()


def test_the_mirrors_lease_of_a_process_that_died_in_this_folder_is_not_waited_for(
    tmp_path: Path, no_wait: None
) -> None:
    folder, remote = tmp_path / "run", open_store(f"file://{tmp_path}/remote")
    locks = HolderLocks(folder / "lease")
    locks.lock()
    lease(remote, locks.holder).acquire()
    os.close(locks._file or 0)  # as when the process dies: its file stays, its lock does not
    run_lock(folder, 60, remote).acquire()


def test_who_is_refused_at_the_mirror_leaves_the_folder_free(tmp_path: Path) -> None:
    remote = open_store(f"file://{tmp_path}/remote")
    other = lease(remote, "other")
    other.acquire()
    refused = run_lock(tmp_path / "run", SECONDS, remote)
    refused.there[0].is_gone = renewing(other)
    with pytest.raises(RunLocked, match="other works on this run"):
        refused.acquire()
    lease(open_store(f"file://{tmp_path}/run"), "next", seconds=60).acquire()


def test_a_released_lock_leaves_no_locks_behind(tmp_path: Path) -> None:
    for _ in range(3):
        held = run_lock(tmp_path, 60)
        held.acquire()
        assert held.release() == ""
    assert not list(tmp_path.rglob("*.lock"))
