"""`s3://bucket/prefix`: Amazon S3 and compatible stores, through boto3.

A tree is written file by file, its manifest last; then `latest.json` below the prefix is updated to name it.
Credentials, region and endpoint are found by boto3 (`AWS_*`, roles, files).
"""

import json
import re
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from botocore.exceptions import BotoCoreError

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import client_errors, s3_errors, trees
from grpo_job.stores.endpoints import require_without_bucket
from grpo_job.stores.retries import CHECK, Attempts, Patience, Silence, StoreFailed
from grpo_job.stores.s3_client import PART, Connection, S3Objects
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
        require_without_bucket(self._bucket, environment)
        self._environment = environment
        self._patience = patience
        self._silence = patience.silence or Silence()

    def check(self, *, claims: bool = False, largest: int = 0) -> None:
        probe, size = f".probe-{secrets.token_hex(4)}", min(largest, PART + 1)
        try:
            objects = self._objects(CHECK, size=2 * size)
            self._prove_files(objects, probe)
            if size > PART:
                self._prove_parts(objects, f"{probe}-parts", size)
            if claims:
                self._prove_claims(objects, f"{probe}-claim")
        except StoreFailed as failure:
            raise failure.as_refusal() from failure

    def _prove_files(self, objects: S3Objects, probe: str) -> None:
        """The second write replaces the first, as checkpoints and leases are replaced."""
        for content in (secrets.token_bytes(16), secrets.token_bytes(16)):
            objects.write(probe, content)
            # Without the right to list, S3 returns 403 for an object that does not exist.
            objects.list(probe)
            if objects.read(probe) != content:
                raise StoreFailed(f"{self.uri}: a file written there reads back differently: use another store.")
        objects.delete(probe)

    def _prove_parts(self, objects: S3Objects, probe: str, size: int) -> None:
        """An adapter of more than one part is sent in parts, for which stores and proxies have rights and limits."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(secrets.token_bytes(size))
            file.flush()
            objects.send(Path(file.name), probe)
            if objects.differs(Path(file.name), probe):
                raise StoreFailed(f"{self.uri}: a large file written there reads back differently: use another store.")
        objects.delete(probe)

    def _prove_claims(self, objects: S3Objects, probe: str) -> None:
        if not self._claimed(objects, probe, "first") or self._claimed(objects, probe, "second"):
            raise self._claims_nothing(probe)
        objects.delete(probe)

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
        sizes = {entry.name: entry.size for entry in entries}
        objects = self._objects(size=sum(sizes.values()))
        trees.fetch_tree(
            trees.inside(self.uri, name, entries),
            lambda file, target: objects.fetch(file, target, size=sizes[file]),
            folder,
        )

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
        return self._claimed(self._objects(), name, holder)

    def _claimed(self, objects: S3Objects, name: str, holder: str) -> bool:
        if objects.create(name, holder.encode()) and objects.create(name, holder.encode()):
            raise self._claims_nothing(name)
        # After a lost reply, the object that is there may be this claim.
        return objects.read(name) == holder.encode()

    def _claims_nothing(self, name: str) -> StoreFailed:
        return StoreFailed(
            f"{self.uri}: the store ignores If-None-Match, so two runs could both hold {name}: use another store."
        )

    @cached_property
    def _connection(self) -> Connection:
        return client_errors.called(
            lambda: Connection(self._environment),
            self.uri,
            (BotoCoreError, ValueError),
            lambda error: s3_errors.failed(error, self.uri, "the store"),
        )

    def _objects(self, patience: Patience | None = None, *, size: int = 0) -> S3Objects:
        silence = None if patience else self._silence
        wait = self._wait_at_check if patience else self._wait
        attempts = Attempts(patience or self._patience, wait, size=size, silence=silence)
        return S3Objects(self._connection, self._bucket, self._prefix, attempts)

    def _wait(self, error: BaseException) -> float | None:
        """As `s3_errors.wait`; expired credentials are read again, until whatever rotates them has done so."""
        renewed = self._renewed(error)
        return s3_errors.wait(error) if renewed is None else 0.0

    def _wait_at_check(self, error: BaseException) -> float | None:
        return 0.0 if self._renewed(error) else s3_errors.wait(error)

    def _renewed(self, error: BaseException) -> bool | None:
        """Whether there are other credentials now; None if those in use may not be too old, or cannot be renewed."""
        code = s3_errors.code_of(error)
        if code in s3_errors.EXPIRED:
            return self._connection.renew()
        return (code in s3_errors.REPLACED and self._connection.renew(if_replaced=True)) or None
