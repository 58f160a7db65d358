"""`hf://` through huggingface_hub against a Hub on this machine: commits, branches, credentials, claims."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from grpo_job.stores import Outpaced, Patience, Store, StoreFailed
from grpo_job.stores import hub as hub_store
from grpo_job.stores.hub_client import HubRepo
from tests.servers.hub import HubServer
from tests.stores.cases import StoreCases, make_tree
from tests.stores.on_the_hub import commits, open, refusal

__all__ = ["open"]


class TestHub(StoreCases):
    @pytest.fixture
    def writes(self, hub: HubServer) -> Callable[[], int]:
        return lambda: len(hub.writes())


def test_a_branch_is_a_store_of_its_own(open: Callable[..., Store], hub: HubServer, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    open("hf://alice/runs@run-1").put(tree)
    assert open("hf://alice/runs@run-1").differences(tree) == []
    assert len(commits(hub, "alice/runs", "run-1")) == 2
    assert commits(hub, "alice/runs") == ["initial commit"]


def test_a_push_is_one_commit_in_a_private_repository(
    open: Callable[[], Store], hub: HubServer, tmp_path: Path
) -> None:
    revision = open().put(make_tree(tmp_path / "tree"))
    repo = hub.repos["model", "alice/adapter"]
    assert repo.private
    assert len(commits(hub)) == 2
    assert repo.branches["main"] == revision


def test_a_repository_is_public_when_asked(open: Callable[..., Store], hub: HubServer, tmp_path: Path) -> None:
    open(private=False).put(make_tree(tmp_path / "tree"))
    assert not hub.repos["model", "alice/adapter"].private


def test_a_large_file_goes_in_parts(open: Callable[[], Store], hub: HubServer, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", adapter_model_safetensors=bytes(range(256)) * 6000)
    open().put(tree)
    assert sum(line.startswith("PUT /large/") and line.count("/") == 3 for line in hub.requests) == 3
    assert open().differences(tree) == []
    open().get("", tmp_path / "back")
    assert (tmp_path / "back/adapter_model.safetensors").read_bytes() == bytes(range(256)) * 6000


def test_the_token_may_stand_in_a_file(open: Callable[..., Store], hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(hub.token("alice") + "\n")
    open(HF_TOKEN="", HF_TOKEN_PATH=str(tmp_path / "token")).check()


def test_check_leaves_no_branch_and_no_commit(open: Callable[[], Store], hub: HubServer) -> None:
    open().check()
    assert set(hub.repos["model", "alice/adapter"].branches) == {"main"}
    assert commits(hub) == ["initial commit"]


def test_check_says_that_a_repository_is_public(
    open: Callable[[], Store], hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add_repo("alice/adapter", {})
    open().check()
    assert "hf://alice/adapter is a public repository" in caplog.text


def test_no_token_is_found_by_check(open: Callable[..., Store]) -> None:
    said = refusal(open(HF_TOKEN=""))
    assert "no Hugging Face token was found: set HF_TOKEN to one that may write to alice" in said


@pytest.mark.parametrize("token", ["hf_mistyped", "hf_alice_expired_token"])
def test_a_token_that_is_not_accepted_is_found_by_check(open: Callable[..., Store], hub: HubServer, token: str) -> None:
    hub.token("alice", "expired")
    said = refusal(open(HF_TOKEN=token))
    assert "does not accept the token (mistyped, revoked or expired): set HF_TOKEN" in said
    assert token not in said


def test_a_strict_limit_on_asking_who_one_is_refuses_nobody(open: Callable[[], Store], hub: HubServer) -> None:
    hub.fail("GET", "/api/whoami-v2", 429, Retry_After="300")
    open().check()


@pytest.mark.parametrize("exists", [True, False])
def test_a_token_that_may_only_read_is_found_by_check(open: Callable[..., Store], hub: HubServer, exists: bool) -> None:
    if exists:
        hub.add_repo("alice/adapter", {})
    said = refusal(open(HF_TOKEN=hub.token("alice", "read")))
    assert "the token cannot write there: set HF_TOKEN to one with write access to alice" in said


@pytest.mark.parametrize("exists", [True, False])
def test_a_repository_of_another_owner_is_found_by_check(
    open: Callable[..., Store], hub: HubServer, exists: bool
) -> None:
    if exists:
        hub.add_repo("bob/adapter", {})
    assert "with write access to bob" in refusal(open("hf://bob/adapter"))


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("Private repository storage limit reached.", "the storage of alice is full: free some space there"),
        ("Your organization requires a fine-grained token.", "set HF_TOKEN to one with write access to alice"),
    ],
)
def test_the_hubs_own_words_are_kept_and_decide_the_cure(
    open: Callable[..., Store], hub: HubServer, words: str, cure: str
) -> None:
    hub.fail("POST", "/api/repos/create", 403, body={"error": words})
    said = refusal(open())
    assert cure in said
    assert f"(the Hub says: {words.rstrip('.')})" in said


def test_an_endpoint_that_is_down_is_found_by_check(
    open: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_store, "CHECK", Patience(seconds=1, call=1, first_wait=0.1))
    said = refusal(open(HF_ENDPOINT="http://127.0.0.1:9"))
    assert "unexpected response from http://127.0.0.1:9" in said
    assert "check HF_ENDPOINT and the network" in said


def test_an_old_holder_that_wakes_writes_nothing_more(
    open: Callable[..., Store], hub: HubServer, tmp_path: Path
) -> None:
    old, new = open("hf://alice/runs@run-1"), open("hf://alice/runs@run-1")
    tree = make_tree(tmp_path / "tree")
    assert old.claim("lease/000001.json", "old")
    old.put(tree, "step-1")
    assert new.claim("lease/000002.json", "new", seen=new.head())
    new.put(tree, "step-2")
    before = commits(hub, "alice/runs", "run-1")
    for write in (lambda: old.put(tree, "step-3"), lambda: old.write("x", b""), lambda: old.delete("step-2")):
        with pytest.raises(Outpaced, match="another attempt has taken the run over"):
            write()
    assert commits(hub, "alice/runs", "run-1") == before


def test_a_claim_fails_when_the_holder_has_moved_since_it_was_seen(open: Callable[..., Store], tmp_path: Path) -> None:
    holder, contender = open("hf://alice/runs@run-1"), open("hf://alice/runs@run-1")
    holder.claim("lease/000001.json", "holder")
    seen = contender.head()
    holder.put(make_tree(tmp_path / "tree"), "step-1")
    assert not contender.claim("lease/000002.json", "contender", seen=seen)
    holder.put(make_tree(tmp_path / "tree"), "step-2")


def test_a_holder_knows_its_own_commit_after_a_lost_reply_and_a_given_up_push(
    open: Callable[..., Store], hub: HubServer, tmp_path: Path
) -> None:
    holder = open("hf://alice/runs@run-1")
    tree = make_tree(tmp_path / "tree")
    holder.claim("lease/000001.json", "holder")
    hub.fail("POST", "/commit/run-1", 0, after=True)
    hub.fail("GET", "/commits/run-1", 403)
    with pytest.raises(StoreFailed, match="cannot write there"):
        holder.put(tree, "step-1")
    hub.forgive()
    holder.put(tree, "step-2")
    assert holder.differences(tree, "step-1") == holder.differences(tree, "step-2") == []


def test_what_another_thread_of_the_holder_commits_meanwhile_is_no_other_attempt(
    open: Callable[..., Store], hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open()
    store.write("before.json", b"{}")
    assert store.claim("lease/000001.json", "first")
    look, others = HubRepo.head, iter([lambda: store.write("checkpoint.json", b"{}")])

    def look_while_another_commits(repo: HubRepo) -> str:
        seen = look(repo)
        next(others, lambda: None)()
        return seen

    monkeypatch.setattr(HubRepo, "head", look_while_another_commits)
    store.write("answer.json", b"{}")
    assert {entry.name for entry in store.list()} >= {"checkpoint.json", "answer.json"}


@pytest.mark.slow
def test_the_stock_clients_read_rows_and_models_by_their_ids(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("owner/model", {"config.json": b"{}", "model.safetensors": b"weights"})
    hub.add_repo("openai/gsm8k", gsm8k(), kind="dataset")
    script = """
from datasets import load_dataset
from huggingface_hub import snapshot_download
from pathlib import Path
rows = load_dataset("openai/gsm8k", "main", split="test")
print(rows[0]["question"], len(rows), sorted(path.name for path in Path(snapshot_download("owner/model")).iterdir()))
"""
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1+1? 1 ['config.json', 'model.safetensors']", done.stderr


def gsm8k() -> dict[str, bytes]:
    """Rows as the Hub has them: a card that says where each split lies, and Parquet files."""
    card = "configs:\n- config_name: main\n  data_files:\n"
    files = {}
    for split in ("train", "test"):
        card += f"  - split: {split}\n    path: main/{split}-*\n"
        rows = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"question": ["1+1?"], "answer": ["#### 2"]}), rows)
        files[f"main/{split}-00000-of-00001.parquet"] = rows.getvalue()
    return {"README.md": f"---\n{card}---\n".encode(), **files}
