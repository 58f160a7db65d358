"""Leases and mirrors at the two kinds of remote stores, as servers on this machine play them."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.checkpoints import CheckpointManager, Mirror, RunLock
from grpo_job.checkpoints.lease import Lease
from grpo_job.outcomes import InvalidRun, RunLocked
from grpo_job.settings.schemes import SCHEMES
from grpo_job.stores import Outpaced, Patience, Store, open_store
from tests.checkpoints.test_lease import renewing, until_all_have_waited
from tests.checkpoints.test_mirror import emptied, saved, sent
from tests.servers.fixtures import QUICK
from tests.servers.hub import HubServer
from tests.servers.s3 import ROOT, S3Server

SECONDS = 60.0
HUB, S3 = SCHEMES["hf"], SCHEMES["s3"]
PLACE = HUB.place_of_run("hf://alice/kept", "a")
REQUESTS = HUB.place_of_takeover_request(PLACE) or ""
Opened = Callable[[], Store]


@pytest.mark.parametrize(("status", "code"), [(503, 1), (403, 2)])
def test_a_mirror_that_is_down_is_tried_again_and_one_that_refuses_is_not(
    status: int, code: int, hub: HubServer, tmp_path: Path
) -> None:
    hub.fail("GET", "/api/models/alice/kept/revision", status, times=10**9)
    given = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice")}
    remote = open_store(PLACE, environment=given, patience=Patience(seconds=0.2, call=5, first_wait=0.1))
    with pytest.raises(InvalidRun, match="GRPO_CHECKPOINT_TO: cannot tell whether another attempt is running") as ended:
        RunLock(tmp_path, remote, SECONDS, lambda reason: None).acquire()
    assert ended.value.code == code


def on_branch(hub: HubServer, place: str = PLACE) -> Store:
    given = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice")}
    return open_store(place, environment=given, patience=QUICK)


@pytest.fixture
def at_hub(hub: HubServer) -> Opened:
    return lambda: on_branch(hub)


@pytest.fixture
def at_s3(s3: S3Server) -> Opened:
    keys = {"AWS_ACCESS_KEY_ID": ROOT[0], "AWS_SECRET_ACCESS_KEY": ROOT[1], "AWS_DEFAULT_REGION": "us-east-1"}
    given = {**keys, "AWS_ENDPOINT_URL_S3": s3.url}
    return lambda: open_store(S3.place_of_run("s3://bucket/kept", "a"), environment=given, patience=QUICK)


@pytest.fixture(params=["hub", "s3"])
def opened(request: pytest.FixtureRequest) -> Opened:
    return request.getfixturevalue(f"at_{request.param}")  # type: ignore[no-any-return]


def lease(store: Store, holder: str, seconds: float = SECONDS, takeover_request: Store | None = None) -> Lease:
    return Lease(store, holder, seconds, lambda name: False, takeover_request)


def mirror_of(held: Lease, lost: list[str] | None = None) -> Mirror:
    return Mirror(held.store, 2, held.assert_held, (lost if lost is not None else []).append)


@pytest.fixture
def manager(tmp_path: Path) -> CheckpointManager:
    return emptied(CheckpointManager(tmp_path / "checkpoints", {"model": "sample"}, keep=2))


def test_an_attempt_elsewhere_goes_on_from_the_mirror(opened: Opened, manager: CheckpointManager) -> None:
    first, second = lease(opened(), "first"), lease(opened(), "second", seconds=60)
    first.acquire()
    sent(mirror_of(first), manager, 10, 20, 30)
    first.left = {"ended_with": 75}
    first.release()
    second.acquire()
    assert mirror_of(second).bring_newer(emptied(manager), than=0) == []
    checkpoint, _ = manager.newest_good()
    assert checkpoint is not None
    assert (checkpoint.step, second.found) == (30, {"ended_with": 75})
    sent(mirror_of(second), manager, 40)
    assert mirror_of(second).steps() == [40, 30]


def test_a_silent_holder_loses_the_run_and_can_send_nothing_more(opened: Opened, manager: CheckpointManager) -> None:
    first, second, lost = lease(opened(), "first"), lease(opened(), "second"), list[str]()
    first.acquire()
    sent(mirror_of(first), manager, 10)
    second.acquire()
    sent(mirror_of(first, lost), manager, 20)
    assert lost == ["second has taken the run over; nothing more is written here"]
    assert mirror_of(second).steps() == [10]


def test_a_holder_whose_checkpoint_arrives_meanwhile_keeps_the_run(at_hub: Opened, manager: CheckpointManager) -> None:
    first = lease(at_hub(), "first")
    first.acquire()
    waits = iter([lambda: None, lambda: sent(mirror_of(first), manager, 10)])
    with pytest.raises(RunLocked, match="first works on this run"):
        Lease(at_hub(), "second", SECONDS, lambda name: bool(next(waits, lambda: None)())).acquire()


def commits(hub: HubServer) -> list[str]:
    """What was committed to the run's branch, the newest first."""
    titles = [commit.title for commit in hub.repos["model", "alice/kept"].history("run-a")]
    return [title.split(": ")[1].split(" [")[0] for title in titles if title.startswith("grpo-job")]


def test_at_the_hub_only_checkpoints_are_committed_while_nobody_waits_for_the_run(
    hub: HubServer, manager: CheckpointManager
) -> None:
    first = lease(on_branch(hub), "first", takeover_request=on_branch(hub, REQUESTS))
    first.acquire()
    sent(mirror_of(first), manager, 10)
    for _ in range(5):
        first.renew()
    assert commits(hub) == ["step-000010", "claim lease/000001.json"]


def test_at_the_hub_a_holder_that_lives_answers_who_waits_with_one_commit(hub: HubServer) -> None:
    first = lease(on_branch(hub), "first", takeover_request=on_branch(hub, REQUESTS))
    first.acquire()
    for contender in ("second", "third"):
        with pytest.raises(RunLocked, match="first works on this run"):
            Lease(on_branch(hub), contender, SECONDS, renewing(first), on_branch(hub, REQUESTS)).acquire()
    assert commits(hub) == ["lease/000001.json", "lease/000001.json", "claim lease/000001.json"]


def test_at_the_hub_an_answer_and_a_checkpoint_at_the_same_moment_both_arrive(
    hub: HubServer, manager: CheckpointManager
) -> None:
    takeover_request = on_branch(hub, REQUESTS)
    first = lease(on_branch(hub), "first", takeover_request=takeover_request)
    first.acquire()
    lost: list[str] = []
    mirror = mirror_of(first, lost)
    for step in (10, 20, 30):
        takeover_request.write("asks.json", f"who, at step {step}?".encode())
        sending = threading.Thread(target=sent, args=(mirror, manager, step))
        sending.start()
        first.renew()
        sending.join()
    assert (lost, mirror.troubles()) == ([], [])
    assert mirror.steps() == [30, 20]
    assert first.renewals == 3
    assert commits(hub).count("lease/000001.json") == 3


def test_a_holder_at_the_hub_that_did_not_look_is_stopped_by_the_commit_itself(
    at_hub: Opened, manager: CheckpointManager
) -> None:
    first, second = lease(at_hub(), "first"), lease(at_hub(), "second")
    first.acquire()
    second.acquire()
    with pytest.raises(Outpaced):
        first.store.put(saved(manager, 10).folder, "step-000010")


def test_a_run_has_a_branch_of_its_own_at_the_hub_and_a_folder_elsewhere() -> None:
    assert S3.place_of_run("s3://bucket/kept/", "a") == "s3://bucket/kept/a"
    assert HUB.place_of_run("hf://me/kept", "a") == "hf://me/kept@run-a"
    assert HUB.place_of_run("hf://me/kept@b", "a") == "hf://me/kept@b-a"


def test_only_the_hub_needs_a_bell() -> None:
    assert HUB.place_of_takeover_request("hf://me/kept@run-a") == "hf://me/kept@bell-run-a"
    assert S3.place_of_takeover_request("s3://bucket/kept/a") is None


def test_at_s3_the_holder_renews_its_own_claim(at_s3: Opened) -> None:
    first = lease(at_s3(), "first")
    first.acquire()
    with pytest.raises(RunLocked, match="first works on this run"):
        Lease(at_s3(), "second", SECONDS, renewing(first)).acquire()
    claim = json.loads(first.store.read("lease/000001.json") or b"")
    assert claim == {"holder": "first", "renewals": first.renewals, "left": {"attempts": 1}}
    assert first.store.read("lease/000002.json") is None


def test_two_that_take_over_at_the_same_moment_become_one(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    lease(opened(), "dead").acquire()
    monkeypatch.setattr(Lease, "_wait", until_all_have_waited(2))
    outcomes: list[str] = []

    def contend(name: str) -> None:
        try:
            lease(opened(), name).acquire()
            outcomes.append("holds")
        except RunLocked:
            outcomes.append("held")

    contenders = [threading.Thread(target=contend, args=(name,)) for name in ("a", "b")]
    for contender in contenders:
        contender.start()
    for contender in contenders:
        contender.join()
    assert sorted(outcomes) == ["held", "holds"]
