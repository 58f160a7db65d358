"""The second home of checkpoints: filled in the background, and resumed from when the first is gone."""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from grpo_job.checkpoints import CheckpointManager, Mirror
from grpo_job.checkpoints.manager import MANIFEST, Checkpoint
from grpo_job.outcomes import RunLocked, Unexpected
from grpo_job.stores import Store, StoreFailed, open_store

WAIT = 120.0


class Gate:
    """A store whose `put` waits until it is let through."""

    def __init__(self, store: Store) -> None:
        self._store, self.opened, self.begun = store, threading.Event(), threading.Semaphore(0)

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        self.begun.release()
        assert self.opened.wait(WAIT)
        return self._store.put(folder, name, replaces=replaces)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/remote")


@pytest.fixture
def manager(tmp_path: Path) -> CheckpointManager:
    return emptied(CheckpointManager(tmp_path / "checkpoints", {"model": "sample"}, keep=2))


def emptied(manager: CheckpointManager) -> CheckpointManager:
    shutil.rmtree(manager.folder, ignore_errors=True)
    manager.clear_partial()
    return manager


def mirror_of(store: object, keep: int = 2, assert_held: Callable[[], None] = lambda: None) -> Mirror:
    return Mirror(store, keep, assert_held, lambda reason: None)  # type: ignore[arg-type]


def saved(manager: CheckpointManager, step: int) -> Checkpoint:
    folder = manager.partial / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_text(f"weights after step {step}")
    return manager.commit(step, folder)


def sent(mirror: Mirror, manager: CheckpointManager, *steps: int) -> None:
    for step in steps:
        mirror.send(saved(manager, step))
        assert mirror.finish(WAIT)


def test_what_was_sent_is_brought_back_when_the_folder_is_gone(store: Store, manager: CheckpointManager) -> None:
    sent(mirror_of(store), manager, 10, 20)
    assert mirror_of(store).bring_newer(emptied(manager), than=0) == []
    checkpoint, damages = manager.newest_good()
    assert checkpoint is not None
    assert (checkpoint.step, damages) == (20, [])
    assert (checkpoint.folder / "adapter_model.safetensors").read_text() == "weights after step 20"


def test_nothing_is_brought_that_is_not_newer(store: Store, manager: CheckpointManager) -> None:
    sent(mirror_of(store), manager, 10, 20)
    emptied(manager)
    mirror_of(store).bring_newer(manager, than=20)
    assert manager.newest_good()[0] is None


def test_a_damaged_one_is_named_and_the_one_before_brought(
    store: Store, manager: CheckpointManager, tmp_path: Path
) -> None:
    sent(mirror_of(store), manager, 10, 20)
    (tmp_path / "remote" / "step-000020" / "adapter_model.safetensors").write_text("weights after step 99")
    damages = mirror_of(store).bring_newer(emptied(manager), than=0)
    assert damages == [
        f"checkpoint step-000020 at {store.uri} is damaged and not used: "
        "adapter_model.safetensors has other content than was saved"
    ]
    assert [path.name for path in manager.folder.glob("step-*")] == ["step-000010"]


def test_one_without_a_manifest_is_not_there(store: Store, manager: CheckpointManager, tmp_path: Path) -> None:
    sent(mirror_of(store), manager, 10, 20)
    (tmp_path / "remote" / "step-000020" / MANIFEST).unlink()
    assert mirror_of(store).steps() == [10]


def test_the_newest_are_kept_and_older_ones_removed(store: Store, manager: CheckpointManager) -> None:
    mirror = mirror_of(store)
    sent(mirror, manager, 10, 20, 30, 40)
    assert mirror.steps() == [40, 30]
    assert {Path(entry.name).parts[0] for entry in store.list()} == {"step-000030", "step-000040"}


def test_while_one_is_on_its_way_only_the_newest_waits(store: Store, manager: CheckpointManager) -> None:
    gate = Gate(store)
    mirror = mirror_of(gate)
    manager.pinned = mirror.pinned
    mirror.send(saved(manager, 10))
    assert gate.begun.acquire(timeout=WAIT)
    for step in (20, 30):
        mirror.send(saved(manager, step))
    assert not mirror.finish(0)
    gate.opened.set()
    assert mirror.finish(WAIT)
    assert mirror.steps() == [30, 10]


def test_a_checkpoint_stays_while_it_is_on_its_way(store: Store, manager: CheckpointManager) -> None:
    gate = Gate(store)
    mirror = mirror_of(gate)
    manager.pinned = mirror.pinned
    mirror.send(saved(manager, 10))
    assert gate.begun.acquire(timeout=WAIT)
    for step in (20, 30, 40):
        saved(manager, step)
    assert sorted(path.name for path in manager.folder.glob("step-*")) == ["step-000010", "step-000030", "step-000040"]
    gate.opened.set()
    assert mirror.finish(WAIT)
    saved(manager, 50)
    assert sorted(path.name for path in manager.folder.glob("step-*")) == ["step-000040", "step-000050"]


def test_a_failure_is_told_once_and_the_next_checkpoint_is_sent(
    store: Store, manager: CheckpointManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise StoreFailed("the store is away.")

    mirror = mirror_of(store)
    with monkeypatch.context() as patched:
        patched.setattr(store, "put", fail)
        sent(mirror, manager, 10)
    assert mirror.troubles() == [f"checkpoint step-000010 did not reach {store.uri}: the store is away."]
    assert mirror.troubles() == []
    sent(mirror, manager, 20)
    assert mirror.steps() == [20]


def test_nothing_is_sent_by_who_has_lost_the_run(store: Store, manager: CheckpointManager) -> None:
    lost: list[str] = []

    def assert_held() -> None:
        raise RunLocked("another has it")

    mirror = Mirror(store, 2, assert_held, lost.append)
    sent(mirror, manager, 10)
    assert (lost, mirror.steps()) == (["another has it"], [])


def test_a_store_that_cannot_say_what_it_holds_stops_the_run(
    store: Store, manager: CheckpointManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[object]:
        raise StoreFailed("the store is away.")

    monkeypatch.setattr(store, "list", fail)
    with pytest.raises(Unexpected, match=r"cannot tell which checkpoints .*: the store is away"):
        mirror_of(store).bring_newer(manager, than=0)


def test_a_run_that_begins_anew_forgets_what_the_mirror_holds(store: Store, manager: CheckpointManager) -> None:
    mirror = mirror_of(store)
    sent(mirror, manager, 10, 20)
    mirror.forget()
    assert mirror.steps() == []


def test_a_report_is_sent_beside_the_checkpoints_once_in_a_while_and_the_last_one_always(
    store: Store, manager: CheckpointManager, tmp_path: Path
) -> None:
    report, mirror = tmp_path / "report.html", mirror_of(store)
    sent(mirror, manager, 10)
    for page, last, found in (("live", False, b"live"), ("too soon", False, b"live"), ("last", True, b"last")):
        report.write_text(page)
        mirror.send_report(report, last=last)
        assert mirror.finish(WAIT, report=True)
        assert store.read("report.html") == found
    assert mirror.steps() == [10]


def test_checkpoints_go_before_a_report_which_finish_does_not_wait_for(
    store: Store, manager: CheckpointManager, tmp_path: Path
) -> None:
    gate = Gate(store)
    mirror = mirror_of(gate)
    mirror.send(saved(manager, 10))
    assert gate.begun.acquire(timeout=WAIT)
    mirror.send_report(tmp_path / "not there")
    mirror.send(saved(manager, 20))
    gate.opened.set()
    assert mirror.finish(WAIT)
    assert mirror.steps() == [20, 10]
    assert mirror.finish(WAIT, report=True)
    assert [trouble.partition(":")[0] for trouble in mirror.troubles()] == ["the report did not reach file"]
