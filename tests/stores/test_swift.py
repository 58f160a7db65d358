"""`s3://` through boto3 against OpenStack Swift: a server that checks what it is told, and keeps no SHA-256."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import Store, open_store, s3_client
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import QUICK
from tests.servers.swift import READER, SwiftServer
from tests.stores.cases import StoreCases, contents, make_tree

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(SwiftServer.missing()), reason=SwiftServer.missing() or "-")]


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    with SwiftServer(tmp_path_factory.mktemp("servers") / "swift") as server:
        yield server


@pytest.fixture
def bucket(swift: SwiftServer, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{crc32(request.node.nodeid.encode())}"
    swift.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def proxy(swift: SwiftServer) -> Iterator[FaultProxy]:
    with FaultProxy(swift.url, share=0) as proxy:
        yield proxy


@pytest.fixture
def open(swift: SwiftServer, bucket: str, proxy: FaultProxy) -> Callable[..., Store]:
    def opened(uri: str = "", **environment: str) -> Store:
        given = swift.environment(AWS_ENDPOINT_URL_S3=proxy.url) | environment
        return open_store(uri or f"s3://{bucket}/some/prefix", environment=given, patience=QUICK)

    return opened


class TestSwift(StoreCases):
    @pytest.fixture
    def writes(self, proxy: FaultProxy) -> Callable[[], int]:
        return lambda: sum(line.split()[0] in ("PUT", "POST", "DELETE") for line in proxy.requests)


def test_a_large_file_goes_in_parts_and_is_read_back(
    open: Callable[[], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 << 20
    monkeypatch.setattr(s3_client, "PART", part)
    monkeypatch.setattr(s3_client, "TRANSFER", TransferConfig(part, multipart_chunksize=part, use_threads=False))
    tree = make_tree(tmp_path / "tree", adapter_model_safetensors=bytes(range(256)) * (2 * part // 256 + 1))
    open().put(tree)
    assert open().differences(tree) == []
    open().get("", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(tree)


def test_what_is_damaged_on_the_way_is_refused_by_the_store_and_sent_again(
    open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.share, proxy.kinds = 0.3, ("flipped",)
    tree = make_tree(tmp_path / "tree")
    open().put(tree)
    assert proxy.counts["flipped"] > 0
    assert open().differences(tree) == []


@pytest.mark.parametrize("digest", [{"ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, {"ChecksumSHA256": "A" * 43 + "="}])
def test_the_store_itself_refuses_a_digest_that_is_not_the_contents(
    swift: SwiftServer, bucket: str, digest: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        swift.client().put_object(Bucket=bucket, Key="a", Body=b"content", **digest)


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody:here"}, "do not match"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "do not match"),
        ({"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": READER[1]}, "have no permission for PutObject"),
    ],
)
def test_credentials_that_cannot_write_are_found_by_check(
    open: Callable[..., Store], given: dict[str, str], cure: str
) -> None:
    with pytest.raises(InvalidRun, match=cure):
        open(**given).check()


def test_a_bucket_that_is_not_there_is_found_by_check(open: Callable[..., Store]) -> None:
    with pytest.raises(InvalidRun, match="there is no such bucket"):
        open("s3://no-such-bucket/prefix").check()


def test_another_region_is_found_out_by_the_client(open: Callable[..., Store]) -> None:
    open(AWS_DEFAULT_REGION="eu-central-1").check()


def test_a_flood_of_failures_is_outlasted(open: Callable[[], Store], proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.share, proxy.retry_after = 0.3, 0
    tree = make_tree(tmp_path / "tree")
    open().put(tree)
    assert open().differences(tree) == []
