"""A webhook that answers with a row of status codes, may stall, and keeps what it was sent."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/services/T00000000/B00000000/0123456789abcdefghijklmn"


class Hook(ThreadingHTTPServer):
    """`statuses` answer one call after the other, the last one all that follow."""

    daemon_threads = True

    def __init__(self, statuses: Sequence[int], *, stalls: bool, leads_to: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.leads_to = list(statuses), leads_to
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answers = threading.Event()
        if not stalls:
            self.answers.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{PATH}"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        hook = self.server
        hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        hook.paths.append(self.path)
        hook.answers.wait()
        self.send_response(hook.statuses[min(len(hook.bodies), len(hook.statuses)) - 1])
        if hook.leads_to:
            self.send_header("Location", hook.leads_to)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the test's output is its own."""


@contextmanager
def hook(*statuses: int, stalls: bool = False, leads_to: str = "") -> Iterator[Hook]:
    """A running one."""
    server = Hook(statuses or (200,), stalls=stalls, leads_to=leads_to)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.answers.set()
        server.shutdown()
        server.server_close()
