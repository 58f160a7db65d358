"""`hf://` where the Hub fails: lost replies, calls that never end, limits of its rate."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import get_session

from grpo_job.stores import Patience, Store, StoreFailed, retries
from grpo_job.stores import hub as hub_store
from tests.servers.fault_proxy import FaultProxy
from tests.servers.hub import HubServer
from tests.stores.cases import make_tree
from tests.stores.on_the_hub import commits, open, refusal

__all__ = ["open"]

MAIN = r"/commit/main"


def test_a_client_that_would_retry_for_ever_is_ended(
    open: Callable[..., Store], hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """huggingface_hub asks again and again, without a pause, while this 409 lasts."""
    conflict = {"error": "Cannot create repo: another conflicting operation is in progress"}
    hub.fail("POST", "/api/repos/create", 409, body=conflict, times=10**9)
    monkeypatch.setattr(hub_store, "CHECK", Patience(seconds=1.5, call=1, first_wait=0.1))
    others = threading.enumerate()
    assert "unexpected response" in refusal(open())
    calls = [thread for thread in threading.enumerate() if thread.name == "store-call" and thread not in others]
    assert not any(map(_lives_on, calls))


def _lives_on(thread: threading.Thread) -> bool:
    thread.join(60)
    return thread.is_alive()


def test_a_call_that_never_ends_is_given_up_and_tried_again(
    open: Callable[..., Store], hub: HubServer, tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "tree")
    hub.fail("POST", MAIN, 1)
    open(patience=Patience(seconds=20, call=1, first_wait=0.01)).put(tree)
    assert open().differences(tree) == []
    assert len(commits(hub)) == 2


def test_a_lock_of_the_client_that_an_abandoned_call_left_held_hinders_no_later_call(
    open: Callable[..., Store],
) -> None:
    """huggingface_hub has one client for the whole process."""
    open().write("a.txt", b"first")
    get_session()._transport._pool._optional_thread_lock._lock.acquire()
    assert open(patience=Patience(seconds=20, call=1, first_wait=0.1)).read("a.txt") == b"first"


@pytest.mark.parametrize("status", [0, 500, 503])
def test_a_commit_whose_reply_was_lost_is_not_made_twice(
    open: Callable[[], Store], hub: HubServer, tmp_path: Path, status: int
) -> None:
    tree = make_tree(tmp_path / "tree")
    hub.fail("POST", MAIN, status, after=True)
    revision = open().put(tree)
    assert len(commits(hub)) == 2
    assert revision == hub.repos["model", "alice/adapter"].branches["main"]
    assert len([line for line in hub.requests if "/commit/" in line]) == 1


def test_a_commit_that_failed_is_made_again(open: Callable[[], Store], hub: HubServer, tmp_path: Path) -> None:
    hub.fail("POST", MAIN, 500, times=2)
    open().put(make_tree(tmp_path / "tree"))
    assert len(commits(hub)) == 2


def test_a_fault_of_this_machine_is_not_waited_for(
    open: Callable[..., Store], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The client reads its own token file even when it is given a token."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path))
    with pytest.raises(StoreFailed, match=r"Is a directory: .*: correct it"):
        open(patience=Patience(seconds=3600)).put(make_tree(tmp_path / "tree"))


def test_a_push_on_top_of_a_head_that_moved_looks_again(
    open: Callable[[], Store], hub: HubServer, tmp_path: Path
) -> None:
    tree, stranger = make_tree(tmp_path / "tree"), open()
    open().write("first.txt", b"first")
    hub.fail("POST", MAIN, 412, before=lambda: stranger.write("NOTES.txt", b"by hand"))
    revision = open().put(tree)
    assert open().differences(tree, revision=revision) == []
    assert open().read("NOTES.txt") == b"by hand"
    assert len(commits(hub)) == 4


def test_a_rate_limit_is_waited_for_as_long_as_it_asks(
    open: Callable[..., Store], hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail("POST", MAIN, 429, Retry_After="7")
    pauses: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))
    open(patience=Patience()).put(make_tree(tmp_path / "tree"))
    assert [round(pause) for pause in pauses] == [7]


def test_a_rate_limit_longer_than_our_patience_is_told_at_once(
    open: Callable[[], Store], hub: HubServer, tmp_path: Path
) -> None:
    hub.fail("POST", MAIN, 429, Retry_After="3600")
    with pytest.raises(StoreFailed, match="the rate limit of the Hub is reached"):
        open().put(make_tree(tmp_path / "tree"))


@pytest.mark.slow
@pytest.mark.parametrize("token", [{}, {"accessToken": "x", "exp": "never", "casUrl": 3}])
def test_xet_which_the_door_switches_off_ends_by_our_own_deadline(
    open: Callable[..., Store], hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: dict[str, Any]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    if token:
        hub.fail("GET", "/xet-write-token/", 200, body=token, times=10**9)
    with pytest.raises(StoreFailed, match="unexpected response from"):
        open(patience=Patience(seconds=10, call=4)).put(make_tree(tmp_path / "tree"))
    assert commits(hub) == ["initial commit"]


def test_a_flood_of_failures_is_outlasted(
    open: Callable[..., Store], hub: HubServer, tmp_path: Path, no_waiting: None
) -> None:
    tree = make_tree(tmp_path / "tree")
    with FaultProxy(hub.url, share=0.3, seed=4, retry_after=0) as proxy:
        hub.url, hub.large_url = proxy.url, proxy.url.replace("127.0.0.1", "localhost")
        store = open()
        store.put(tree)
        assert store.differences(tree) == []
        store.get("README.md", tmp_path / "back")
        assert proxy.counts["lost"] + proxy.counts["reset"] + proxy.counts["500"] > 0
    assert len(commits(hub)) == 2
