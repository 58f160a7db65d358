"""What every store must do, whatever it is: each store's tests inherit these and say how to open it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.stores import Store, StoreFailed
from grpo_job.stores.trees import files_of, manifest_of

FILES = {
    "README.md": b"---\nlicense: mit\n---\nHello\n",
    "adapter_model.safetensors": os.urandom(100_000),
    "empty.txt": b"",
    "run/plots/reward.png": os.urandom(1000),
    "run/summary.json": b"{}\n",
}


def make_tree(folder: Path, **changes: bytes | None) -> Path:
    """A small tree with a manifest; `changes` by file name with `/` and `.` written as `_`."""
    for name, content in FILES.items():
        changed = changes.get(name.replace("/", "_").replace(".", "_"), content)
        if changed is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(changed)
    (folder / "manifest.json").write_bytes(manifest_of(folder))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_of(folder).items()}


class StoreCases:
    """Fixtures to give: `open` makes a store at one place each time; `writes` counts what it wrote so far."""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        return make_tree(tmp_path / "tree")

    @pytest.fixture
    def store(self, open: Callable[[], Store]) -> Store:
        return open()

    def test_what_is_put_comes_back_the_same(self, store: Store, tree: Path, tmp_path: Path) -> None:
        store.put(tree, "step-000010")
        store.get("step-000010", tmp_path / "back")
        assert contents(tmp_path / "back") == contents(tree)
        assert store.differences(tree, "step-000010") == []

    def test_a_tree_at_the_root_comes_back_the_same(self, store: Store, tree: Path, tmp_path: Path) -> None:
        store.put(tree)
        store.get("", tmp_path / "back")
        back = contents(tmp_path / "back")
        back.pop(".gitattributes", None)
        assert back == contents(tree)

    def test_one_file_comes_back_by_its_name(self, store: Store, tree: Path, tmp_path: Path) -> None:
        store.put(tree)
        store.get("run/summary.json", tmp_path / "back")
        assert contents(tmp_path / "back") == {"summary.json": b"{}\n"}
        assert store.read("run/summary.json") == b"{}\n"

    def test_putting_again_changes_nothing(
        self, open: Callable[[], Store], tree: Path, writes: Callable[[], int]
    ) -> None:
        first = open().put(tree)
        before = writes()
        assert open().put(tree) == first
        assert writes() == before

    def test_a_damaged_file_is_found_when_read_back(self, store: Store, tree: Path) -> None:
        store.put(tree)
        store.write("run/summary.json", b"[]\n")
        sound = FILES["adapter_model.safetensors"]
        store.write("adapter_model.safetensors", sound[:-1] + bytes([sound[-1] ^ 1]))
        assert store.differences(tree) == ["adapter_model.safetensors", "run/summary.json"]

    def test_a_missing_file_is_sent_again_and_nothing_else(self, store: Store, tree: Path) -> None:
        store.put(tree)
        store.delete("run/plots/reward.png")
        assert store.differences(tree) == ["run/plots/reward.png"]
        store.put(tree)
        assert store.differences(tree) == []

    def test_a_new_tree_takes_the_place_of_the_old_and_leaves_strangers_alone(
        self, store: Store, tree: Path, tmp_path: Path
    ) -> None:
        store.put(tree)
        store.write("NOTES.txt", b"by hand")
        store.put(make_tree(tmp_path / "new", empty_txt=None, run_summary_json=b"[]"))
        names = {entry.name for entry in store.list()} - {".gitattributes", "latest.json"}
        assert names == {*FILES, "manifest.json", "NOTES.txt"} - {"empty.txt"}
        assert store.read("run/summary.json") == b"[]"

    def test_the_tree_that_is_replaced_goes_when_the_new_one_is_whole(self, store: Store, tree: Path) -> None:
        store.put(tree, "step-1")
        store.put(tree, "step-10")
        store.put(tree, "step-2", replaces=["step-1"])
        assert {entry.name.split("/")[0] for entry in store.list() if "/" in entry.name} == {"step-10", "step-2"}

    def test_names_that_begin_alike_are_kept_apart(self, store: Store, tree: Path) -> None:
        store.put(tree, "step-1")
        store.put(tree, "step-10")
        assert len(store.list("step-1")) == len(contents(tree))
        store.delete("step-1")
        assert store.list("step-1") == []
        assert store.differences(tree, "step-10") == []

    def test_what_is_not_there_is_said_to_be_missing(self, store: Store, tree: Path, tmp_path: Path) -> None:
        assert store.read("nothing") is None
        assert store.list("nothing") == []
        assert set(store.differences(tree)) == set(contents(tree))
        store.delete("nothing")
        with pytest.raises(StoreFailed, match="has no files"):
            store.get("nothing", tmp_path / "back")

    def test_check_leaves_nothing_behind(self, store: Store) -> None:
        store.check()
        assert [entry.name for entry in store.list() if entry.name != ".gitattributes"] == []

    def test_exactly_one_of_many_claimants_holds(self, open: Callable[[], Store]) -> None:
        won: list[str] = []
        stores = [(f"holder-{number}", open()) for number in range(4)]

        def claim(holder: str, store: Store) -> None:
            if store.claim("lease/000001.json", holder):
                won.append(holder)

        threads = [threading.Thread(target=claim, args=pair) for pair in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert stores[0][1].read("lease/000001.json") == won[0].encode()

    def test_a_claim_is_still_the_holders_when_asked_again(self, store: Store, open: Callable[[], Store]) -> None:
        assert store.claim("lease/000001.json", "me")
        assert store.claim("lease/000001.json", "me")
        assert not open().claim("lease/000001.json", "you")
        assert open().claim("lease/000002.json", "you")
