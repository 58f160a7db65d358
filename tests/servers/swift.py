"""OpenStack Swift's S3 (`s3api`) on this machine: a real server that checks signatures, digests and conditions.

It needs Debian's `memcached` and `liberasurecode-dev`, and the virtual environment that `make test-slow` makes in
`.cache/swift`; `SWIFT_VENV` names another.

    with SwiftServer(scratch) as swift:
        # AWS_ENDPOINT_URL_S3=swift.url, the keys in swift.environment()
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3

VENV = Path(os.environ.get("SWIFT_VENV") or Path(__file__).parents[2] / ".cache" / "swift")
REGION = "us-east-1"
WRITER = ("test:tester", "testing")
# Swift's reseller rights: a user without `.admin` may read what is shared with it, and write nothing.
READER = ("test:reader", "reading")
STORAGE = ("account", "container", "object")

PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
workers = 0
user = {user}
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth slo dlo versioned_writes symlink copy \
proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
min_segment_size = 1048576
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_test_reader = reading
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
[filter:copy]
use = egg:swift#copy
[filter:proxy-logging]
use = egg:swift#proxy_logging
"""

STORE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
user = {user}
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
fallocate_reserve = 0
"""


class SwiftServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(5)
        self._children: list[subprocess.Popen[bytes]] = []
        self.url = f"http://127.0.0.1:{self._ports[0]}"

    @staticmethod
    def missing() -> str:
        """What this machine lacks to run it, "" if nothing."""
        if not (VENV / "bin" / "swift-proxy-server").exists():
            return f"no Swift in {VENV}: install swift==2.38.3 there, or set SWIFT_VENV"
        return "" if shutil.which("memcached") else "no memcached: run `apt-get install memcached`"

    def __enter__(self) -> "SwiftServer":
        (self._folder / "devices" / "d1").mkdir(parents=True)
        (self._folder / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
            "[storage-policy:0]\nname = one\ndefault = yes\n"
        )
        proxy, memcached, *stores = self._ports
        names = {"folder": self._folder, "user": os.environ.get("USER", "root")}
        self._start("memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(memcached))
        for kind, port in zip(STORAGE, stores, strict=True):
            self._ring(kind, port)
            self._serve(kind, STORE.format(kind=kind, port=port, **names))
        self._serve("proxy", PROXY.format(port=proxy, memcached=memcached, **names))
        self._wait(proxy, *stores)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.wait(60)

    def environment(self, key: str = WRITER[0], secret: str = WRITER[1], **more: str) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        return {**keys, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_S3": self.url, **more}

    def client(self) -> Any:
        return boto3.client(
            "s3",
            aws_access_key_id=WRITER[0],
            aws_secret_access_key=WRITER[1],
            endpoint_url=self.url,
            region_name=REGION,
        )

    def _ring(self, kind: str, port: int) -> None:
        build = [str(VENV / "bin" / "swift-ring-builder"), str(self._folder / f"{kind}.builder")]
        for step in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
            subprocess.run([*build, *step], check=True, capture_output=True)

    def _serve(self, kind: str, configuration: str) -> None:
        path = self._folder / f"{kind}-server.conf"
        path.write_text(configuration)
        self._start(str(VENV / "bin" / f"swift-{kind}-server"), str(path))

    def _start(self, *command: str) -> None:
        with (self._folder / "servers.log").open("ab") as log:
            self._children.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _wait(self, *ports: int) -> None:
        end = time.monotonic() + 60
        for port in ports:
            while not _answers(port):
                if time.monotonic() > end:
                    raise TimeoutError((self._folder / "servers.log").read_text()[-3000:])
                time.sleep(0.1)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for number in sockets:
        number.bind(("127.0.0.1", 0))
    ports = [number.getsockname()[1] for number in sockets]
    for number in sockets:
        number.close()
    return ports
