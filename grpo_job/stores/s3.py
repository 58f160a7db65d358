"""`s3://bucket/prefix`: Amazon S3 and compatible stores, through boto3.

A tree is written file by file, its manifest last; then `latest.json` below the prefix is updated to name it.
Credentials, region and endpoint are found by boto3 (`AWS_*`, roles, files).
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from botocore.exceptions import BotoCoreError

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import client_errors, s3_errors, trees
from grpo_job.stores.retries import CHECK, Attempts, Patience, StoreFailed
from grpo_job.stores.s3_client import Connection, S3Objects
from grpo_job.stores.trees import MANIFEST, Entries, Names

LATEST = "latest.json"


class S3Store:
    """`s3://bucket[/prefix]`, see `Store`. Raises `InvalidRun` if the address is not that of a bucket."""

    def __init__(self, place: str, *, environment: Mapping[str, str], patience: Patience) -> None:
        self._bucket, _, prefix = place.partition("/")
        self._prefix = prefix.strip("/")
        self.uri = f"s3://{trees.join(self._bucket, self._prefix)}"
        if not re.fullmatch(r"[a-zA-Z0-9._-]{3,63}", self._bucket):
            raise InvalidRun(f"s3://{place} is not the address of a bucket; allowed: s3://bucket, s3://bucket/prefix.")
        self._environment = environment
        self._patience = patience

    def check(self) -> None:
        probe, content = f".probe-{secrets.token_hex(4)}", secrets.token_bytes(16)
        try:
            objects = self._objects(CHECK)
            objects.write(probe, content)
            # Without the right to list, S3 returns 403 for an object that does not exist.
            objects.list(probe)
            if objects.read(probe) != content:
                raise StoreFailed(f"{self.uri}: a file written there reads back differently: use another store.")
            objects.delete(probe)
        except StoreFailed as failure:
            raise InvalidRun(str(failure)) from failure

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        objects = self._objects(size=trees.size_of(folder))
        trees.send_tree(objects, folder, name)
        revision = trees.revision_of(folder)
        latest = json.dumps({"name": name, "revision": revision}, sort_keys=True).encode() + b"\n"
        if objects.read(LATEST) != latest:
            objects.write(LATEST, latest)
        for other in replaces:
            self.delete(other)
        return revision

    def differences(self, folder: Path, name: str = "", *, revision: str = "") -> Names:
        objects = self._objects(size=trees.size_of(folder))
        return [file for file, path in trees.files_of(folder).items() if objects.differs(path, trees.join(name, file))]

    def get(self, name: str, folder: Path) -> None:
        entries = [entry for entry in self.list(name) if name == LATEST or entry.name != LATEST]
        objects = self._objects(size=sum(entry.size for entry in entries))
        trees.fetch_tree(trees.inside(self.uri, name, entries), objects.fetch, folder)

    def list(self, name: str = "") -> Entries:
        return self._objects().list(name)

    def delete(self, name: str) -> None:
        objects = self._objects()
        for entry in sorted(objects.list(name), key=lambda entry: entry.name != trees.join(name, MANIFEST)):
            objects.delete(entry.name)

    def read(self, name: str) -> bytes | None:
        return self._objects().read(name)

    def write(self, name: str, content: bytes) -> None:
        self._objects().write(name, content)

    def head(self) -> str:
        return ""

    def claim(self, name: str, holder: str, *, seen: str = "") -> bool:
        objects = self._objects()
        if objects.create(name, holder.encode()) and objects.create(name, holder.encode()):
            raise StoreFailed(
                f"{self.uri}: the store ignores If-None-Match, so two runs could both hold {name}: use another store."
            )
        # After a lost reply, the object that is there may be this claim.
        return objects.read(name) == holder.encode()

    @cached_property
    def _connection(self) -> Connection:
        try:
            return Connection(self._environment)
        except (BotoCoreError, ValueError) as error:
            raise s3_errors.failed(error, self.uri, "the store") from error
        except Exception as error:  # whatever a client raises, the store failed
            raise StoreFailed(f"{self.uri}: {client_errors.told(error)}.") from error

    def _objects(self, patience: Patience | None = None, *, size: int = 0) -> S3Objects:
        attempts = Attempts(patience or self._patience, s3_errors.wait, size=size)
        return S3Objects(self._connection, self._bucket, self._prefix, attempts)
