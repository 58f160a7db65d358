"""`file://`: the cases of every store, what a folder cannot do, and a crash between any two files."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import Store, StoreFailed, local, open_store
from grpo_job.stores.local import LocalStore
from grpo_job.stores.retries import Patience
from tests.stores.cases import FILES, StoreCases, contents, make_tree


class TestLocal(StoreCases):
    @pytest.fixture
    def open(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(f"file://{tmp_path}/store%20with%20blanks")

    @pytest.fixture
    def writes(self, tmp_path: Path) -> Callable[[], int]:
        # A file that is written arrives as a new one, so the newest change tells of any write.
        return lambda: max(path.stat().st_ctime_ns for path in tmp_path.joinpath("store with blanks").rglob("*"))


class TestWithoutHardLinks(StoreCases):
    """As on exFAT, on SMB and on most of FUSE."""

    @pytest.fixture(params=local.NO_LINKS)
    def open(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], Store]:
        def link(source: Path, target: Path) -> None:
            raise OSError(request.param, os.strerror(request.param), str(source), None, str(target))

        monkeypatch.setattr(os, "link", link)
        return lambda: open_store(f"file://{tmp_path}/store")

    @pytest.fixture
    def writes(self, tmp_path: Path) -> Callable[[], int]:
        return lambda: max(path.stat().st_ctime_ns for path in tmp_path.joinpath("store").rglob("*"))


@pytest.mark.parametrize("survivors", range(len(FILES) + 1))
def test_a_crash_between_two_files_leaves_no_manifest_and_is_made_good(
    survivors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"file://{tmp_path}/store")
    store.put(make_tree(tmp_path / "old", run_summary_json=b"old", empty_txt=b"old", README_md=b"old"))
    new = make_tree(tmp_path / "new", adapter_model_safetensors=b"new")
    send, sent = LocalStore.send, []

    def crash(self: LocalStore, path: Path, name: str) -> None:
        if len(sent) == survivors:
            raise KeyboardInterrupt
        sent.append(name)
        send(self, path, name)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(LocalStore, "send", crash)
        store.put(new)
    assert (store.read("manifest.json") is not None) == ("manifest.json" in sent)
    store.put(new)
    assert contents(tmp_path / "store") == contents(new)


def test_nothing_half_written_stays_when_a_write_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    store = open_store(f"file://{tmp_path}/store")
    store.write("a.txt", b"first")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFailed, match=r"No space left on device.*free some space"):
        store.write("a.txt", b"second")
    assert contents(tmp_path / "store") == {"a.txt": b"first"}


@pytest.mark.parametrize("place", ["/proc/no-such", "/dev/null/folder"])
def test_a_folder_that_cannot_be_written_is_refused_with_the_cure(place: str) -> None:
    with pytest.raises(InvalidRun, match=rf"file://{place} cannot be used \(.*\): .*folder.*\.$") as refused:
        open_store(f"file://{place}").check()
    assert len(refused.value.faults) == 1


def test_a_volume_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStore, "write", lambda *_: time.sleep(60))
    monkeypatch.setattr(local, "CHECK_SECONDS", 0.2)
    with pytest.raises(InvalidRun, match=r"does not respond .*: check the volume"):
        open_store(f"file://{tmp_path}/store").check()


def test_a_folder_gets_the_time_of_its_check_however_short_the_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(local, "within", lambda seconds, work: (asked.append(seconds), work())[1])
    make_tree(tmp_path / "tree")
    open_store(f"file://{tmp_path}/store", patience=Patience(seconds=0)).put(tmp_path / "tree")
    assert asked[0] >= local.CHECK_SECONDS


def test_an_address_that_is_none_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(InvalidRun, match="'ftp://host' is not an address of a store; allowed: hf://owner/name"):
        open_store("ftp://host")
    with pytest.raises(InvalidRun, match="file://relative/folder is not an absolute path"):
        open_store("file://relative/folder")
    with pytest.raises(InvalidRun, match="is not the address of a repository"):
        open_store("hf://just-a-name")
    with pytest.raises(InvalidRun, match="is not the address of a bucket"):
        open_store("s3:///prefix")


def test_a_manifest_cannot_name_files_outside_its_tree(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    store = open_store(f"file://{tmp_path}/store")
    store.write("manifest.json", b'{"files": {"../precious": {}, "/etc/passwd": {}}}')
    store.put(make_tree(tmp_path / "tree"))
    assert (tmp_path / "precious").read_text() == "precious"
