"""A Hugging Face Hub on this machine, for the real clients: repositories, commits, large files, tokens.

Large files live at another host (`localhost` against `127.0.0.1`), as on the real Hub. It has no Xet,
no search and no web pages. Failures are ordered with `HubServer.fail`.

    with HubServer() as hub:
        hub.add_repo("openai/gsm8k", {"main/train.parquet": b"..."}, kind="dataset")
        # HF_ENDPOINT=hub.url HF_TOKEN=hub.token("alice")
"""

import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.hub_pages import LARGE, ROUTES
from tests.servers.hub_state import Account, Answer, Blob, Repo, Request


@dataclass
class Fault:
    method: str
    path: str
    status: int
    headers: dict[str, str]
    times: int
    after: bool
    body: Any
    before: Callable[[], object]


class HubServer:
    def __init__(self, *, multipart_over: int = 1 << 20, part: int = 512 << 10) -> None:
        self.multipart_over, self.part = multipart_over, part
        self.repos: dict[tuple[str, str], Repo] = {}
        self.accounts: dict[str, Account] = {}
        self.large: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.requests: list[str] = []
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) for _ in range(2)]
        self.url = f"http://127.0.0.1:{self._servers[0].server_port}"
        self.large_url = f"http://localhost:{self._servers[1].server_port}"

    def __enter__(self) -> "HubServer":
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def token(self, name: str, role: str = "write") -> str:
        """A token for an account: role `write`, `read` or `expired`."""
        token = f"hf_{name}_{role}_token"
        self.accounts[token] = Account(name, role)
        return token

    def add_repo(self, name: str, files: Mapping[str, bytes], *, kind: str = "model", private: bool = False) -> str:
        repo = Repo(private)
        blobs = {path: Blob(content, path.endswith(LARGE)) for path, content in files.items()}
        self.large.update({blob.sha256: blob.content for blob in blobs.values() if blob.large})
        self.repos[kind, name] = repo
        return repo.commit("main", "initial commit", blobs).id

    def fail(
        self,
        method: str,
        path: str,
        status: int,
        *,
        times: int = 1,
        after: bool = False,
        body: Any = None,
        before: Callable[[], object] = lambda: None,
        **headers: str,
    ) -> None:
        """Answers the next `times` requests like this with `status` (0: no answer, 1: never ends).

        `after` does what is asked first, so that only the reply is lost; `before` is called instead.
        """
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        told = body or {"error": "failure ordered by the test"}
        self._faults.append(Fault(method, path, status, headers, times, after, told, before))

    def forgive(self) -> None:
        """Ends the failures that were ordered."""
        self._faults.clear()

    def writes(self) -> list[str]:
        """The requests that changed something, or tried to."""
        return [line for line in self.requests if re.search(r" (PUT|DELETE)|/commit/|/branch/", f" {line}")]

    def answer(self, method: str, path: str, query: dict[str, str], account: str, body: bytes) -> Answer:
        fault = self._fault(method, path)
        if fault and not fault.after:
            fault.before()
            return Answer(fault.status, fault.body, **fault.headers)
        try:
            for methods, pattern, work in ROUTES:
                if method in methods and (match := re.fullmatch(pattern, path)):
                    request = Request(
                        self, method, query, account, body, **{k: v for k, v in match.groupdict().items() if v}
                    )
                    with self.lock:
                        work(request)
            answer = Answer(404, {"error": f"no such page: {method} {path}"})
        except Answer as given:
            answer = given
        return Answer(fault.status, fault.body, **fault.headers) if fault else answer

    def _fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self._faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
            if not self.headers.get("Transfer-Encoding") and len(body) < length:
                self.close_connection = True
                return
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
            answer = hub.answer(self.command, address.path, query, token, body)
            hub.requests.append(f"{self.command} {address.path} {answer.status}")
            self._reply(answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _reply(self, answer: Answer) -> None:
            if answer.status == 1:
                time.sleep(60)
            if answer.status < 100:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body, status = answer.body, answer.status
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked and status == 200 and "Accept-Ranges" in answer.headers:
                end = int(asked[2]) + 1 if asked[2] else len(body)
                answer.headers["Content-Range"] = f"bytes {asked[1]}-{min(end, len(body)) - 1}/{len(body)}"
                body, status = body[int(asked[1]) : end], 206
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
