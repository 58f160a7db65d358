"""Publishing to real clients' servers: what is in the tree, that it arrived, and that again is nothing."""
# ruff: noqa: F811

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.phases.published_tree import Published, gather, publish
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.stores import Patience, open_store
from grpo_job.stores.local import LocalStore
from grpo_job.stores.trees import files_of
from tests.campaigns import publish_faults
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import (  # noqa: F401
    QUICK,
    as_the_door_sets_it,
    hub,
    no_waiting,
    one_reading_of_boto3s_models,
    s3,
    s3_server,
)
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server
from tests.servers.trained_run import PUBLISHED, make_run

GIVE_UP = Patience(seconds=1, call=1, first_wait=0.1, longest_wait=0.5)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "run")


class Everywhere:
    """A Hub, an S3 behind a proxy, and a folder."""

    def __init__(self, hub: HubServer, s3: S3Server, proxy: FaultProxy, folder: Path) -> None:
        self.hub, self.s3, self.proxy, self.folder = hub, s3, proxy, folder
        self.uris = ["hf://alice/adapter", "s3://bucket/models/adapter", f"file://{folder}"]
        self.environment = s3.environment(AWS_ENDPOINT_URL_S3=proxy.url)
        self.environment |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice")}

    def publish(self, run: Path, *uris: str, patience: Patience = QUICK, **more: str) -> list[Published]:
        return publish(run, uris or self.uris, environment=self.environment | more, patience=patience)

    def state(self) -> list[object]:
        """Changes with every write anywhere."""
        objects = self.s3.client().list_objects_v2(Bucket="bucket")["Contents"]
        files = [(path, path.stat().st_ctime_ns) for path in sorted(self.folder.rglob("*"))]
        return [
            self.hub.repos["model", "alice/adapter"].branches.copy(),
            [(item["Key"], item["ETag"], item["LastModified"]) for item in objects],
            files,
        ]


@pytest.fixture
def everywhere(hub: HubServer, s3: S3Server, tmp_path: Path) -> Iterator[Everywhere]:
    with FaultProxy(s3.url, share=0) as proxy:
        yield Everywhere(hub, s3, proxy, tmp_path / "published")


def test_the_tree_is_the_adapter_at_the_root_and_the_rest_under_run(run: Path, tmp_path: Path) -> None:
    gather(run, tmp_path / "tree")
    assert set(files_of(tmp_path / "tree")) == PUBLISHED


def test_a_merged_model_has_a_folder_of_its_own(run: Path, tmp_path: Path) -> None:
    (run / "merged").mkdir()
    (run / "merged" / "model.safetensors").write_bytes(b"weights")
    (run / "merged" / "pytorch_model.bin").write_bytes(b"pickle")
    gather(run, tmp_path / "tree")
    assert set(files_of(tmp_path / "tree")) == PUBLISHED | {"merged/model.safetensors"}


def test_the_manifest_holds_the_digest_of_every_other_file(run: Path, tmp_path: Path) -> None:
    gather(run, tmp_path / "tree")
    manifest = json.loads((tmp_path / "tree" / "manifest.json").read_bytes())
    assert manifest["run_id"] == "run"
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        for name, path in files_of(tmp_path / "tree").items()
        if name != "manifest.json"
    }


def test_the_machines_paths_are_hidden_and_a_tokenizer_is_left_as_it_is(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "cwd", lambda: Path("/opt/venv"))
    (run / "metrics.jsonl").write_text('{"note": "/opt/venv/bin, https://host/opt/venv"}\n')
    gather(run, tmp_path / "tree")
    tree = tmp_path / "tree"
    assert json.loads((tree / "run/environment.json").read_bytes()) == {"executable": "./bin/python"}
    assert json.loads((tree / "run/settings.json").read_bytes())["settings"]["output_dir"] == ".."
    assert json.loads((tree / "run/metrics.jsonl").read_bytes())["note"] == "./bin, https://host/opt/venv"
    assert (tree / "tokenizer.json").read_bytes() == (run / "adapter/tokenizer.json").read_bytes()
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in files_of(tree).values())


def test_a_run_is_published_from_a_working_folder_that_is_gone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    gather(run, tmp_path / "tree")
    assert (tmp_path / "tree" / "manifest.json").is_file()


def test_three_destinations_hold_the_same_tree(run: Path, everywhere: Everywhere, tmp_path: Path) -> None:
    published = everywhere.publish(run)
    assert [place.uri for place in published] == everywhere.uris
    assert all(place.verified and place.revision and not place.failure for place in published)
    assert published[0].revision == everywhere.hub.repos["model", "alice/adapter"].branches["main"]
    gather(run, tmp_path / "tree")
    for number, uri in enumerate(everywhere.uris):
        store = open_store(uri, environment=everywhere.environment)
        store.get("", tmp_path / f"back-{number}")
        back = {name: path.read_bytes() for name, path in files_of(tmp_path / f"back-{number}").items()}
        back.pop(".gitattributes", None)
        assert back == {name: path.read_bytes() for name, path in files_of(tmp_path / "tree").items()}


def test_publishing_again_changes_nothing(run: Path, everywhere: Everywhere) -> None:
    first = everywhere.publish(run)
    before = everywhere.state()
    # What the job writes once it knows how publishing went.
    summary = json.loads((run / "summary.json").read_bytes())
    summary |= {"ending": {"code": 0, "kind": "finished", "reason": ""}, "attempts": 2}
    summary |= {"published": [{"uri": place.uri} for place in first]}
    summary["seconds"] |= {"publish": 9.0, "total": 99.0}
    (run / "summary.json").write_text(json.dumps(summary))
    assert everywhere.publish(run) == first
    assert everywhere.state() == before


def test_the_same_run_from_another_place_is_the_same_tree(run: Path, everywhere: Everywhere, tmp_path: Path) -> None:
    first = everywhere.publish(run)
    before = everywhere.state()
    moved = make_run(tmp_path / "elsewhere" / "run")
    assert everywhere.publish(moved) == first
    assert everywhere.state() == before


def test_a_better_adapter_replaces_the_last_one(run: Path, everywhere: Everywhere) -> None:
    everywhere.publish(run)
    (run / "adapter" / "adapter_model.safetensors").write_bytes(b"better")
    shutil.rmtree(run / "plots")
    assert all(place.verified for place in everywhere.publish(run))
    for uri in everywhere.uris:
        store = open_store(uri, environment=everywhere.environment)
        assert store.read("adapter_model.safetensors") == b"better"
        assert store.read("run/plots/reward.png") is None


def test_one_destination_that_fails_does_not_stop_the_others(run: Path, everywhere: Everywhere) -> None:
    uris = ["hf://bob/adapter", "s3://no-such-bucket", "file:///proc/none", "ftp://host", everywhere.uris[2]]
    *failed, last = everywhere.publish(run, *uris)
    assert last.verified
    assert not any(place.verified for place in failed)
    cures = ("write access to bob", "no such bucket", "name a folder", "allowed: hf://")
    assert all(cure in place.failure for cure, place in zip(cures, failed, strict=True))
    assert all("\n" not in place.failure and place.failure.endswith(".") for place in failed)


def test_an_endpoint_that_was_down_is_finished_later_and_then_left_alone(
    run: Path, everywhere: Everywhere, no_waiting: None
) -> None:
    down = {"HF_ENDPOINT": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    hub_failed, s3_failed, local = everywhere.publish(run, patience=GIVE_UP, **down)
    assert "check HF_ENDPOINT" in hub_failed.failure
    assert "check AWS_ENDPOINT_URL_S3" in s3_failed.failure
    assert local.verified
    finished = everywhere.publish(run)
    assert all(place.verified for place in finished)
    before = everywhere.state()
    assert everywhere.publish(run) == finished
    assert everywhere.state() == before


def test_after_a_partial_failure_only_what_is_missing_is_sent(run: Path, everywhere: Everywhere) -> None:
    uri, proxy = everywhere.uris[1], everywhere.proxy
    puts: Callable[[], list[str]] = lambda: [line for line in proxy.requests if line.startswith("PUT")]  # noqa: E731
    proxy.rule = lambda method, path, headers: (403, b"") if method == "PUT" and len(puts()) > 5 else None
    (partial,) = everywhere.publish(run, uri)
    assert "no permission for PutObject" in partial.failure
    proxy.rule = lambda method, path, headers: None
    proxy.requests.clear()
    (whole,) = everywhere.publish(run, uri)
    assert whole.verified
    assert len(puts()) == len(PUBLISHED) - 5 + 1  # and latest.json


def test_a_large_file_that_the_hub_has_is_not_sent_again(run: Path, everywhere: Everywhere) -> None:
    uri, hub = everywhere.uris[0], everywhere.hub
    hub.fail("POST", "/commit/main", 403)
    (partial,) = everywhere.publish(run, uri)
    assert not partial.verified
    hub.requests.clear()
    (whole,) = everywhere.publish(run, uri)
    assert whole.verified
    assert not any(line.startswith("PUT") for line in hub.requests)


def test_what_arrives_damaged_is_not_called_published(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = LocalStore.send

    def damage(self: LocalStore, path: Path, name: str) -> None:
        send(self, path, name)
        if name == "adapter_model.safetensors":
            (tmp_path / "published" / name).write_bytes(b"damaged")

    monkeypatch.setattr(LocalStore, "send", damage)
    (place,) = publish(run, [f"file://{tmp_path}/published"])
    assert not place.verified
    assert "the published files differ in adapter_model.safetensors: publish again" in place.failure


def test_a_secret_in_the_tree_stops_the_publishing(run: Path, tmp_path: Path) -> None:
    (run / "completions.jsonl").write_text('{"completion": "my token is hf_canarycanary"}\n')
    uris = [f"file://{tmp_path}/one", f"file://{tmp_path}/two"]
    REDACTOR.know(["hf_canarycanary"])
    published = publish(run, uris)
    assert [place.uri for place in published] == uris
    assert all("run/completions.jsonl contains the value of a secret" in place.failure for place in published)
    assert not any("hf_canarycanary" in place.failure for place in published)
    assert not (tmp_path / "one").exists()


def test_a_run_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match="has no adapter/ to publish"):
        publish(tmp_path, [f"file://{tmp_path}/published"])


@pytest.mark.parametrize("store", ["hub", "s3"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_third_of_all_requests_failing_is_outlasted(store: str, seed: int, no_waiting: None) -> None:
    result = publish_faults.publish_once(store, seed, retry_after=0)
    assert not result.fault
    assert result.failed > 0
