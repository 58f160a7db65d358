"""Through a registry: pushed, pulled by digest, run."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.containers import IMAGE, RESTRICTED, TOOL, attempt, tool

CONFIGURATION = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error}}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry on the loopback; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = tmp_path / "registry.yml"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path / "registry", port=port))
    server = subprocess.Popen(["docker-registry", "serve", str(configuration)], stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not answers(port):
        assert server.poll() is None, server.stderr.read() if server.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.communicate()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_it_is_pushed_and_pulled_by_digest_and_runs(registry: str, tmp_path: Path) -> None:
    name, unsecured = f"{registry}/grpo-job", ["--tls-verify=false"] if TOOL == "podman" else []
    digest_file = tmp_path / "digest"
    tool("push", *unsecured, f"--digestfile={digest_file}", IMAGE, f"docker://{name}:cpu")
    pinned = f"{name}@{digest_file.read_text().strip()}"
    assert attempt("image", "exists", pinned).returncode != 0
    try:
        tool("pull", *unsecured, pinned)
        done = attempt(
            "run", "--rm", *RESTRICTED, "--tmpfs=/cache", "--tmpfs=/outputs", pinned, "check", "-s", "recipe=smoke"
        )
        assert done.returncode == 0, done.stderr
        assert "0 failed" in done.stdout
    finally:
        attempt("rmi", pinned)
