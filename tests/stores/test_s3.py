"""`s3://` through boto3 against moto's server: the cases of every store, credentials, and stores that differ."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig

from grpo_job.outcomes import InvalidRun, Outage
from grpo_job.stores import Store, StoreFailed, open_store, s3_client
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import QUICK
from tests.servers.s3 import S3Server
from tests.stores.cases import StoreCases, contents, make_tree

EVERYTHING = ("s3:*",)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    """Between the client and the store; it fails nothing until its `share` or `rule` is set."""
    with FaultProxy(s3.url, share=0) as proxy:
        yield proxy


@pytest.fixture
def open(s3: S3Server, proxy: FaultProxy) -> Callable[..., Store]:
    def opened(uri: str = "s3://bucket/some/prefix", **environment: str) -> Store:
        given = s3.environment(AWS_ENDPOINT_URL_S3=proxy.url) | environment
        return open_store(uri, environment=given, patience=QUICK)

    return opened


def puts(proxy: FaultProxy) -> list[str]:
    return [line.split("some/prefix/")[1].split("?")[0] for line in proxy.requests if line.startswith("PUT")]


def refusal(store: Store) -> str:
    with pytest.raises(InvalidRun) as refused:
        store.check()
    (sentence,) = refused.value.faults
    assert re.fullmatch(r"s3://[^\n]*\.", sentence)
    return sentence


def answer(status: int, code: str) -> tuple[int, bytes]:
    return status, f"<Error><Code>{code}</Code><Message>said by the test</Message></Error>".encode()


class TestS3(StoreCases):
    @pytest.fixture
    def writes(self, proxy: FaultProxy) -> Callable[[], int]:
        return lambda: sum(line.split()[0] in ("PUT", "POST", "DELETE") for line in proxy.requests)


def test_the_manifest_is_written_last_and_then_the_pointer_moves(
    open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path
) -> None:
    revision = open().put(make_tree(tmp_path / "tree"), "step-1")
    assert puts(proxy)[-2:] == ["step-1/manifest.json", "latest.json"]
    assert json.loads(open().read("latest.json") or b"") == {"name": "step-1", "revision": revision}


def test_a_large_file_goes_in_parts_whose_digests_are_compared(
    open: Callable[[], Store], s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 << 20  # the smallest that S3 takes
    monkeypatch.setattr(s3_client, "PART", part)
    monkeypatch.setattr(s3_client, "TRANSFER", TransferConfig(part, multipart_chunksize=part, use_threads=False))
    tree = make_tree(tmp_path / "tree", adapter_model_safetensors=bytes(range(256)) * (2 * part // 256 + 1))
    open().put(tree)
    there = s3.client().head_object(
        Bucket="bucket", Key="some/prefix/adapter_model.safetensors", ChecksumMode="ENABLED"
    )
    assert there["ETag"].endswith('-3"')
    assert there["ChecksumSHA256"]
    assert open().differences(tree) == []
    open().get("", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(tree)


def test_one_object_serves_as_rows(s3: S3Server, open: Callable[..., Store], tmp_path: Path) -> None:
    s3.client().put_object(Bucket="bucket", Key="data/rows.jsonl", Body=b'{"prompt": "1+1?"}\n')
    open("s3://bucket/data/rows.jsonl").get("", tmp_path)
    assert contents(tmp_path) == {"rows.jsonl": b'{"prompt": "1+1?"}\n'}


def test_a_store_that_refuses_checksums_is_spoken_to_without_and_read_back(
    open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path, no_waiting: None
) -> None:
    def refuse(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        sent = any(name.lower().startswith(("x-amz-checksum", "x-amz-sdk-checksum")) for name in headers)
        return answer(501, "NotImplemented") if method in ("PUT", "POST") and sent else None

    proxy.rule = refuse
    tree = make_tree(tmp_path / "tree")
    open().check()
    open().put(tree)
    assert open().differences(tree) == []
    open().write("run/summary.json", b"[]\n")
    assert open().differences(tree) == ["run/summary.json"]


def test_no_credentials_are_found_by_check(open: Callable[..., Store]) -> None:
    said = refusal(open(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""))
    assert "no AWS credentials were found: set AWS_ACCESS_KEY_ID" in said


CONFIG = """
[profile of-another]
role_arn = arn:aws:iam::1:role/x
source_profile = absent
[profile sso]
sso_session = absent
sso_account_id = 1
sso_role_name = x
[profile process]
credential_process = /bin/false
"""


@pytest.mark.parametrize(
    ("keys", "profile", "config", "told"),
    [
        (True, "absent", CONFIG, "(absent) could not be found: correct or unset AWS_PROFILE"),
        (False, "absent", CONFIG, "(absent) could not be found: correct or unset AWS_PROFILE"),
        (False, "of-another", CONFIG, 'The source_profile "absent"'),
        (False, "sso", CONFIG, "sso-session does not exist"),
        (False, "process", CONFIG, "retrieving credentials from custom-process: correct"),
        (True, "", "[profile", "Unable to parse config file"),
    ],
)
def test_what_is_wrong_with_the_clients_own_files_is_refused_and_no_outage(
    open: Callable[..., Store], proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    keys: bool, profile: str, config: str, told: str,
) -> None:  # fmt: skip
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    without = {} if keys else {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    with pytest.raises(InvalidRun) as refused:
        open(AWS_PROFILE=profile, **without).check()
    assert told in str(refused.value)
    assert not isinstance(refused.value, Outage)
    assert proxy.requests == []


def test_wrong_keys_are_told_apart_from_wrong_secrets(open: Callable[..., Store], s3: S3Server) -> None:
    key, _ = s3.account("writer", *EVERYTHING)
    s3.enforce_rights()
    assert "does not know the access key" in refusal(open(AWS_ACCESS_KEY_ID="AKIAUNKNOWN"))
    assert "do not match" in refusal(open(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY="wrong"))


@pytest.mark.parametrize(
    ("allowed", "lacking"),
    [
        (("s3:GetObject", "s3:ListBucket"), "PutObject"),
        (("s3:PutObject", "s3:GetObject", "s3:DeleteObject"), "ListObjectsV2"),
        (("s3:PutObject", "s3:ListBucket"), "GetObject"),
        (("s3:PutObject", "s3:GetObject", "s3:ListBucket"), "DeleteObject"),
    ],
)
def test_rights_that_are_lacking_are_named(
    open: Callable[..., Store], s3: S3Server, allowed: tuple[str, ...], lacking: str
) -> None:
    key, secret = s3.account("reader", *allowed)
    s3.enforce_rights()
    said = refusal(open(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret))
    assert f"the credentials have no permission for {lacking}: allow them s3:PutObject" in said


def test_a_bucket_that_is_not_there_is_found_by_check(open: Callable[..., Store]) -> None:
    assert "there is no such bucket: create it" in refusal(open("s3://no-such-bucket/some/prefix"))


@pytest.mark.parametrize(
    ("status", "code", "cure"),
    [
        (400, "ExpiredToken", "the credentials have expired: get new ones"),
        (400, "InvalidToken", "correct AWS_SESSION_TOKEN"),
        (400, "AuthorizationHeaderMalformed", "another region: set AWS_DEFAULT_REGION"),
        (301, "PermanentRedirect", "another region: set AWS_DEFAULT_REGION"),
        (403, "RequestTimeTooSkewed", "clock of this machine is wrong"),
        (403, "AccountProblem", "AccountProblem"),
    ],
)
def test_what_moto_cannot_say_is_understood_too(
    open: Callable[[], Store], proxy: FaultProxy, status: int, code: str, cure: str
) -> None:
    proxy.rule = lambda method, path, headers: answer(status, code)
    assert cure in refusal(open())


def test_a_claim_is_refused_where_conditional_writes_are_ignored(open: Callable[[], Store], proxy: FaultProxy) -> None:
    proxy.rule = lambda method, path, headers: (200, b"") if "If-None-Match" in headers else None
    with pytest.raises(StoreFailed, match="ignores If-None-Match"):
        open().claim("lease/000001.json", "me")
    proxy.rule = lambda method, path, headers: answer(501, "NotImplemented") if "If-None-Match" in headers else None
    with pytest.raises(StoreFailed, match="does not support"):
        open().claim("lease/000001.json", "me")


def test_a_claim_whose_reply_was_lost_is_known_as_ones_own(
    open: Callable[[], Store], proxy: FaultProxy, no_waiting: None
) -> None:
    proxy.share, proxy.kinds = 0.4, ("lost",)
    for number in range(5):
        assert open().claim(f"lease/{number}.json", "me")
    proxy.share = 0
    assert not open().claim("lease/1.json", "you")


def test_a_flood_of_failures_is_outlasted(
    open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path, no_waiting: None
) -> None:
    proxy.share, proxy.retry_after = 0.3, 0
    tree = make_tree(tmp_path / "tree")
    store = open()
    store.put(tree)
    assert store.differences(tree) == []
    store.get("", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(tree)
    assert sum(proxy.counts.values()) > proxy.counts["passed"] > 0


def test_answers_that_are_cut_short_are_asked_for_again(
    open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path, no_waiting: None
) -> None:
    tree = make_tree(tmp_path / "tree")
    store = open()
    store.put(tree)
    proxy.share, proxy.kinds = 0.5, ("truncated",)
    for number in range(3):
        assert len(store.list()) == len(contents(tree)) + 1
        assert store.read("README.md") == (tree / "README.md").read_bytes()
        assert store.read("nothing") is None
        store.get("", tmp_path / f"back-{number}")
        assert contents(tmp_path / f"back-{number}") == contents(tree)
    assert proxy.counts["truncated"] > 0


def test_an_outage_ends_with_a_sentence(open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.share, proxy.kinds = 1, ("reset",)
    impatient = open_store(
        "s3://bucket/x",
        environment={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL_S3": proxy.url},
        patience=QUICK.__class__(seconds=1, call=1, first_wait=0.1),
    )
    with pytest.raises(
        StoreFailed, match=r"unexpected response from http.*: check AWS_ENDPOINT_URL_S3 and the network\.$"
    ):
        impatient.put(make_tree(tmp_path / "tree"))
