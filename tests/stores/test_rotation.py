"""Credentials that are replaced while a run goes on: they are read again, and what was asked is asked again."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.phases.published_tree import publish
from grpo_job.stores import Patience, Store, StoreFailed, open_store
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import QUICK
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server
from tests.servers.s3_quirks import said
from tests.servers.trained_run import make_run
from tests.stores.cases import make_tree

pytestmark = pytest.mark.slow

EXPIRED = ["ExpiredToken", "TokenRefreshRequired", "RequestExpired"]
REPLACED = ["InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "AccessDenied"]


class KeyFile:
    """The keys of a shared credentials file, which something outside of the job replaces."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replace("OLD")

    def replace(self, key: str) -> None:
        self.path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return KeyFile(tmp_path / "credentials")


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.url, share=0) as proxy:
        yield proxy


@pytest.fixture
def environment(proxy: FaultProxy) -> dict[str, str]:
    """No keys of its own."""
    return {"AWS_ENDPOINT_URL_S3": proxy.url, "AWS_DEFAULT_REGION": "us-east-1"}


def refuse_old(proxy: FaultProxy, code: str, *, status: int = 400, then: Callable[[], object] = lambda: None) -> None:
    """From now on the old key is refused; `then` is done at the third refusal, as by a sidecar that comes late."""
    refusals: list[str] = []

    def rule(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        if "Credential=OLD/" not in headers.get("Authorization", ""):
            return None
        refusals.append(path)
        if len(refusals) == 3:
            then()
        return said(status, code, "said by the test") if method != "HEAD" else (status, b"")

    proxy.rule = rule


@pytest.mark.parametrize("code", EXPIRED)
def test_keys_that_expire_before_they_are_replaced_are_waited_for(
    code: str, keys: KeyFile, proxy: FaultProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    store = open_store("s3://bucket/kept", environment=environment, patience=QUICK)
    store.put(make_tree(tmp_path / "tree"), "step-1")
    refuse_old(proxy, code, then=lambda: keys.replace("NEW"))
    store.write("lease/000001.json", b"{}")
    store.put(make_tree(tmp_path / "tree"), "step-2")
    assert store.differences(tmp_path / "tree", "step-2") == []


@pytest.mark.parametrize("code", REPLACED)
def test_keys_that_were_replaced_are_used(
    code: str, keys: KeyFile, proxy: FaultProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    store = open_store("s3://bucket/kept", environment=environment, patience=QUICK)
    store.write("first", b"1")
    refuse_old(proxy, code, status=403)
    keys.replace("NEW")
    store.put(make_tree(tmp_path / "tree"), "step-2")
    assert store.differences(tmp_path / "tree", "step-2") == []


@pytest.mark.parametrize("code", [*EXPIRED, *REPLACED])
def test_keys_that_stay_wrong_are_refused_at_once_by_the_check(
    code: str, keys: KeyFile, proxy: FaultProxy, environment: dict[str, str]
) -> None:
    refuse_old(proxy, code, status=403)
    with pytest.raises(InvalidRun) as refused:
        open_store("s3://bucket/kept", environment=environment).check()
    assert refused.value.code == 2
    assert len(proxy.requests) <= 2  # the second without checksums


def test_keys_in_variables_cannot_be_replaced(s3: S3Server, proxy: FaultProxy, environment: dict[str, str]) -> None:
    refuse_old(proxy, "ExpiredToken")
    store = open_store("s3://bucket/kept", environment=s3.environment("OLD", "secret") | environment, patience=QUICK)
    with pytest.raises(StoreFailed, match="the credentials have expired: get new ones"):
        store.write("first", b"1")
    assert len(proxy.requests) == 1


def test_a_web_identity_is_exchanged_again(
    s3: S3Server, proxy: FaultProxy, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "web-identity"
    token.write_text("first")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/trainer")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = open_store("s3://bucket/kept", environment=environment, patience=QUICK)
    store.write("first", b"1")
    used: set[str] = set()

    def rule(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        used.add(headers["Authorization"].split("Credential=")[1].split("/")[0])
        return said(400, "ExpiredToken", "said by the test") if len(used) == 1 else None

    proxy.rule = rule
    store.write("second", b"2")
    assert len(used) == 2


def test_a_publication_outlives_keys_that_expire_in_its_middle(
    keys: KeyFile, proxy: FaultProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    def rule(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        if "manifest.json" not in path or "Credential=OLD/" not in headers.get("Authorization", ""):
            return None
        keys.replace("NEW")
        return (400, b"") if method == "HEAD" else said(400, "ExpiredToken", "said by the test")

    proxy.rule = rule
    run = make_run(tmp_path / "run")
    (published,) = publish(run, ["s3://bucket/tuned"], environment=environment, patience=QUICK)
    assert published.verified, published.failure


@pytest.fixture
def token(hub: HubServer, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(hub.token("alice"))
    return path


@pytest.fixture
def at_hub(hub: HubServer, token: Path) -> Callable[..., Store]:
    def opened(patience: Patience = QUICK) -> Store:
        given = {"HF_ENDPOINT": hub.url, "HF_TOKEN_PATH": str(token)}
        return open_store("hf://alice/kept", environment=given, patience=patience)

    return opened


def test_a_token_file_is_read_again_when_its_token_is_refused(
    hub: HubServer, at_hub: Callable[[], Store], token: Path, tmp_path: Path
) -> None:
    store = at_hub()
    assert store.claim("lease/000001.json", "me")
    old = token.read_text()
    hub.accounts["hf_alice_second_token"] = hub.accounts.pop(old)
    hub.fail("GET", "/api/models/alice/kept", 401, before=lambda: None, times=2)
    hub.fail("GET", "/api/models/alice/kept", 401, before=lambda: token.write_text("hf_alice_second_token"))
    store.put(make_tree(tmp_path / "tree"), "step-1")
    assert store.differences(tmp_path / "tree", "step-1") == []


def test_a_token_file_that_stays_wrong_is_refused_at_once_by_the_check(
    hub: HubServer, at_hub: Callable[[], Store], token: Path
) -> None:
    token.write_text("hf_mistyped_and_never_known")
    with pytest.raises(InvalidRun, match="does not accept the token"):
        at_hub().check()
    assert len(hub.requests) == 1
