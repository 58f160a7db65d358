"""Stores that people use, each as a double with its known quirks: what the checks say, and that files arrive."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import Store, open_store
from grpo_job.stores.s3_client import PART
from tests.servers import s3_quirks
from tests.servers.fault_proxy import FaultProxy, Rule
from tests.servers.fixtures import QUICK
from tests.servers.s3 import S3Server
from tests.stores.cases import contents, make_tree

pytestmark = pytest.mark.slow

Opened = Callable[..., Store]
WORKING = [s3_quirks.cloudflare_r2, s3_quirks.minio, s3_quirks.ceph, s3_quirks.google_cloud_storage]
WITH_LEASES = [s3_quirks.cloudflare_r2, s3_quirks.minio, s3_quirks.ceph]
WITHOUT_LEASES = [s3_quirks.old_minio, s3_quirks.google_cloud_storage]


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.url, share=0) as proxy:
        yield proxy


@pytest.fixture
def at(s3: S3Server, proxy: FaultProxy, no_waiting: None) -> Opened:
    def opened(quirk: Callable[[], Rule], **environment: str) -> Store:
        proxy.rule = quirk()
        given = s3.environment(AWS_ENDPOINT_URL_S3=proxy.url) | environment
        return open_store("s3://bucket/runs", environment=given, patience=QUICK)

    return opened


@pytest.mark.parametrize("quirk", WORKING)
def test_what_is_published_there_passes_the_check_and_comes_back_the_same(
    quirk: Callable[[], Rule], at: Opened, tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "tree", adapter_model_safetensors=bytes(range(256)) * (PART // 256 + 1))
    store = at(quirk)
    store.check(largest=2 * PART)
    store.put(tree)
    assert store.differences(tree) == []
    store.get("", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(tree)
    assert not [entry for entry in store.list() if ".probe" in entry.name]


@pytest.mark.parametrize("quirk", WITH_LEASES)
def test_a_run_is_mirrored_there_and_held_by_one(quirk: Callable[[], Rule], at: Opened) -> None:
    store = at(quirk)
    store.check(claims=True)
    assert store.claim("lease/000001.json", "first")
    assert not store.claim("lease/000001.json", "second")


@pytest.mark.parametrize("quirk", WITHOUT_LEASES)
def test_a_store_that_cannot_keep_two_attempts_apart_is_found_by_the_check(
    quirk: Callable[[], Rule], at: Opened
) -> None:
    at(quirk).check()
    with pytest.raises(InvalidRun, match=r"ignores If-None-Match, .*: use another store\."):
        at(quirk).check(claims=True)


@pytest.mark.parametrize("code", ["NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed"])
def test_a_store_that_refuses_conditions_is_found_by_the_check(code: str, at: Opened) -> None:
    def quirk() -> Rule:
        answer = s3_quirks.said(501 if code == "NotImplemented" else 400, code, "no such header here")
        return lambda method, path, headers: answer if "If-None-Match" in headers else None

    at(quirk).check()
    with pytest.raises(InvalidRun, match=r"does not support conditional writes .*no such header here"):
        at(quirk).check(claims=True)


def test_a_region_that_r2_does_not_have_is_told_with_those_that_it_has(at: Opened) -> None:
    with pytest.raises(InvalidRun, match=r"set AWS_DEFAULT_REGION to one that it names .*wnam, enam, weur"):
        at(s3_quirks.cloudflare_r2, AWS_DEFAULT_REGION="eu-central-1").check()
    at(s3_quirks.cloudflare_r2, AWS_DEFAULT_REGION="auto").check()


@pytest.mark.parametrize("quirk", [s3_quirks.full_minio, s3_quirks.full_ceph])
def test_a_store_that_is_full_is_refused_and_not_waited_for(quirk: Callable[[], Rule], at: Opened) -> None:
    with pytest.raises(InvalidRun, match="the store is full: free some space there, or raise the quota") as refused:
        at(quirk).check()
    assert refused.value.code == 2


@pytest.mark.parametrize(
    ("status", "code", "message", "cure"),
    [
        (403, "AccessDenied", "User x is not authorized to perform: kms:GenerateDataKey on resource y", "kms:Decrypt"),
        (400, "KMS.DisabledException", "arn:aws:kms:eu-west-1:1:key/2 is disabled.", "enable the key"),
        (403, "AccessDenied", "Access Denied because object protected by object lock.", "use a bucket without"),
        (400, "InvalidRequest", "Content-MD5 is required for Put Object requests with Object Lock", "bucket without"),
        (403, "RetentionPolicyNotMet", "Object is subject to bucket's retention policy", "use a bucket without"),
        (403, "AccessDenied", "explicit deny in a service control policy", "allow them s3:PutObject"),
    ],
)
def test_the_stores_own_words_are_kept_and_decide_the_cure(
    status: int, code: str, message: str, cure: str, at: Opened
) -> None:
    with pytest.raises(InvalidRun) as refused:
        at(lambda: lambda method, path, headers: s3_quirks.said(status, code, message)).check()
    (told,) = refused.value.faults
    assert cure in told
    assert f"(the store says {code}: {message.rstrip('.')})" in told


@pytest.mark.parametrize("part", ["uploads", "partNumber=", "uploadId="])
def test_parts_that_may_not_be_sent_are_found_by_the_check(part: str, at: Opened) -> None:
    def quirk() -> Rule:
        denied = s3_quirks.said(403, "AccessDenied", "no parts for you")
        return lambda method, path, headers: denied if method in ("PUT", "POST") and part in path else None

    at(quirk).check(largest=PART)
    with pytest.raises(InvalidRun, match="no parts for you"):
        at(quirk).check(largest=PART + 1)


def test_a_proxy_that_takes_no_large_request_is_found_by_the_check(at: Opened) -> None:
    def quirk() -> Rule:
        return lambda method, path, headers: (413, b"") if int(headers.get("Content-Length", 0)) > 1 << 20 else None

    with pytest.raises(InvalidRun, match="takes no request of this size: raise its limit"):
        at(quirk).check(largest=2 * PART)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("https://account.r2.cloudflarestorage.com/bucket", "https://account.r2.cloudflarestorage.com"),
        ("https://storage.example.org:9000/bucket/", "https://storage.example.org:9000"),
        ("https://x.supabase.co/storage/v1/s3/bucket", "https://x.supabase.co/storage/v1/s3"),
        ("https://bucket.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://bucket.fra1.digitaloceanspaces.com", "https://fra1.digitaloceanspaces.com"),
        ("https://bucket.s3.example.org/bucket", "https://s3.example.org"),
    ],
)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_a_bucket_inside_the_endpoint_is_refused_with_the_right_one(variable: str, given: str, right: str) -> None:
    with pytest.raises(InvalidRun) as refused:
        open_store("s3://bucket/runs", environment={variable: given})
    assert (
        str(refused.value)
        == f"{variable}: {given.rstrip('/')} was given, which contains the bucket bucket; allowed: {right}"
    )


@pytest.mark.parametrize(
    "given",
    ["http://minio:9000", "https://bucket.example.org", "https://x.supabase.co/storage/v1/s3", "https://bucket"],
)
def test_an_endpoint_that_only_resembles_the_bucket_is_taken(given: str) -> None:
    open_store("s3://bucket/runs", environment={"AWS_ENDPOINT_URL_S3": given})
