"""The S3 calls that S3Store uses, each within the deadline of its operation.

Objects are written with SHA-256 checksums, which the store keeps and returns. For a store that refuses
checksums they are left out, and its objects are verified by downloading them.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import BotoCoreError

from grpo_job.run_folder.files import sha256
from grpo_job.stores import client_errors, s3_errors
from grpo_job.stores.endpoints import endpoint_of
from grpo_job.stores.retries import Attempts, StoreFailed
from grpo_job.stores.trees import CHUNK, Entries, Entry, join

T = TypeVar("T")

PART = 16 << 20
# Without its threads: the process would wait for them when it exits, even if they hang.
TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
# Errors of stores that do not support SHA-256 checksums, or the trailers that carry them.
REFUSALS = {"InvalidArgument", "InvalidRequest", "MissingContentLength", "NotImplemented"}
REFUSALS |= {"SignatureDoesNotMatch", "UnsupportedArgument", "XAmzContentSHA256Mismatch"}
# Answers of stores that have no conditional writes.
UNCONDITIONAL = {"InvalidArgument", "InvalidRequest", "MethodNotAllowed", "NotImplemented", "UnsupportedArgument"}
VARIABLES = ("explicit", "env")  # botocore's names for where credentials come from
FILES = ("shared-credentials-file", "config-file")


class Connection:
    """A boto3 client, and whether its store accepts checksums."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._session = self._new_session()
        self.checksums(True)

    def renew(self, *, if_replaced: bool = False) -> bool | None:
        """Reads the credentials again: whether they are others now, None if they come from variables.

        `if_replaced`: only those of a file, of which one can tell.
        """
        method = getattr(self._session.get_credentials(), "method", VARIABLES[0])
        if method in VARIABLES or (if_replaced and method not in FILES):
            return None
        try:
            session = self._new_session()
            others = method not in FILES or _keys(session) != _keys(self._session)
        except (BotoCoreError, ValueError):  # the file is being written
            return False
        if others and session.get_credentials():
            self._session = session
            self.checksums(bool(self.extra))
            return True
        return False

    def _new_session(self) -> boto3.Session:
        environment = self._environment
        return boto3.Session(
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            region_name=environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION"),
            profile_name=environment.get("AWS_PROFILE") or None,
        )

    def checksums(self, wanted: bool) -> None:
        when = "when_supported" if wanted else "when_required"
        self.extra = {"ChecksumAlgorithm": "SHA256"} if wanted else {}
        self.client: Any = self._session.client(
            "s3",
            endpoint_url=endpoint_of(self._environment),
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 3},
                request_checksum_calculation=when,
                response_checksum_validation=when,
            ),
        )


class S3Objects:
    """Objects below one prefix, for one operation."""

    def __init__(self, connection: Connection, bucket: str, prefix: str, attempts: Attempts) -> None:
        self._connection = connection
        self._bucket = bucket
        self._prefix = prefix
        self._attempts = attempts
        self._uri = f"s3://{join(bucket, prefix)}"

    def differs(self, path: Path, name: str) -> bool:
        """Whether the object is missing, or has another size or content."""
        size = path.stat().st_size
        there = self._unless_missing(lambda: self._client.head_object(**self._at(name), ChecksumMode="ENABLED"))
        if there is None or there["ContentLength"] != size:
            return True
        kept, _, parts = there.get("ChecksumSHA256", "").partition("-")
        if kept == checksum_of(path):
            return False
        if kept and not parts and size < PART:
            return True
        # The store has no digest, or one over parts of another size: read the object itself.
        return self._try(lambda: self._digest(name), size=size) != sha256(path)

    def send(self, path: Path, name: str) -> None:
        place = (str(path), self._bucket, self._key(name))
        self._with_checksum(
            lambda extra: self._client.upload_file(*place, ExtraArgs=extra, Config=TRANSFER), size=path.stat().st_size
        )

    def write(self, name: str, content: bytes, **conditions: str) -> None:
        self._with_checksum(
            lambda extra: self._client.put_object(**self._at(name), Body=content, **extra, **conditions)
        )

    def create(self, name: str, content: bytes) -> bool:
        """Whether this call created the object; False if one was there."""
        try:
            self.write(name, content, IfNoneMatch="*")
        except StoreFailed as failure:
            code = s3_errors.code_of(failure)
            if code in ("PreconditionFailed", "412"):
                return False
            if code in UNCONDITIONAL:
                raise StoreFailed(
                    f"{self._uri}: the store does not support conditional writes (If-None-Match), which keep two"
                    f" attempts from one run: set GRPO_CHECKPOINT_TO to another store{s3_errors.words_of(failure)}."
                ) from failure
            raise
        return True

    def read(self, name: str) -> bytes | None:
        return self._unless_missing(lambda: bytes(self._client.get_object(**self._at(name))["Body"].read()))

    def fetch(self, name: str, target: Path, *, size: int) -> None:
        def download() -> None:
            self._client.download_file(self._bucket, self._key(name), str(target), Config=TRANSFER)
            if self.differs(target, name):
                raise ConnectionError(f"{name} arrived damaged")

        self._try(download, size=size)

    def delete(self, name: str) -> None:
        self._try(lambda: self._client.delete_object(**self._at(name)))

    def list(self, name: str) -> Entries:
        """The objects of the tree or file `name`; a prefix `run-1` does not find `run-10`."""
        key = self._key(name)

        def pages() -> Entries:
            found = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=key)
            objects = [item for page in found for item in page.get("Contents", [])]
            return [
                Entry(item["Key"][len(self._prefix) :].strip("/"), item["Size"])
                for item in objects
                if _is_below(item["Key"], key)
            ]

        return self._try(pages)

    @property
    def _client(self) -> Any:
        return self._connection.client

    def _key(self, name: str) -> str:
        return join(self._prefix, name)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(name)}

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._client.get_object(**self._at(name))["Body"].iter_chunks(CHUNK):
            digest.update(chunk)
        return digest.hexdigest()

    def _try(self, work: Callable[[], T], *, size: int = 0) -> T:
        return client_errors.called(
            lambda: self._attempts(work, size=size),
            self._uri,
            s3_errors.FROM_STORE,
            lambda error: s3_errors.failed(error, self._uri, self._client.meta.endpoint_url),
        )

    def _unless_missing(self, work: Callable[[], T]) -> T | None:
        try:
            return self._try(work)
        except StoreFailed as failure:
            if s3_errors.is_missing(failure):
                return None
            raise

    def _with_checksum(self, write: Callable[[dict[str, str]], object], *, size: int = 0) -> None:
        self._try(lambda: self._written(write), size=size)

    def _written(self, write: Callable[[dict[str, str]], object]) -> None:
        extra = self._connection.extra
        try:
            write(extra)
            return
        except s3_errors.FROM_STORE as error:
            if not extra or s3_errors.code_of(error) not in REFUSALS:
                raise
        self._connection.checksums(False)
        try:
            write({})
        except s3_errors.FROM_STORE:
            # The checksum was not the reason.
            self._connection.checksums(True)
            raise


def checksum_of(path: Path) -> str:
    """The SHA-256 that S3 keeps: of the content, or of the digests of its parts if sent in parts.

    S3 adds the number of parts ("...=-3"), which is left out here, because not every store does.
    """
    with path.open("rb") as file:
        parts = [hashlib.sha256(chunk).digest() for chunk in iter(lambda: file.read(PART), b"")]
    # s3transfer sends a file of exactly one part's size in parts, too.
    if path.stat().st_size < PART:
        return base64.b64encode(parts[0] if parts else hashlib.sha256().digest()).decode()
    return base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()


def _keys(session: boto3.Session) -> Any:
    found = session.get_credentials()
    return found and found.get_frozen_credentials()


def _is_below(key: str, place: str) -> bool:
    # A key that ends in "/" is a folder that was created in a console.
    return not key.endswith("/") and (key == place or not place or key.startswith(f"{place}/"))
