"""A proxy that fails a share of the requests that pass through it, in ways that networks and servers fail.

The seed decides which request fails and how, in the order of their arrival.

    with FaultProxy(hub.url, share=0.3, seed=1) as proxy:
        # HF_ENDPOINT=proxy.url
"""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Answers (status, body) itself, or lets the request pass with None.
Rule = Callable[[str, str, Mapping[str, str]], tuple[int, bytes] | None]
STALL_SECONDS = 600.0
KINDS = ("500", "503", "429", "reset", "truncated", "lost")


class FaultProxy:
    """`kinds` to choose from:

    `500` and `503` answer so; `429` asks to wait; `reset` cuts the connection before the request is passed
    on, `lost` after it has been done; `truncated` cuts the answer's body; `flipped` changes a bit of what
    is sent; `delay` only takes its time; `stall` never answers while the fault lasts; `rotten` changes a bit of what
    is fetched, `swallowed` says that it stored what it threw away.
    """

    def __init__(
        self,
        target: str,
        *,
        share: float = 0.3,
        seed: int = 0,
        kinds: Sequence[str] = KINDS,
        retry_after: int = 1,
        delay: float = 0.2,
        begins_at: int = 0,
        rule: Rule = lambda method, path, headers: None,
    ) -> None:
        self.target = urlsplit(target).netloc
        self.share, self.kinds, self.retry_after, self.delay = share, kinds, retry_after, delay
        self.rule = rule
        self.begins_at = begins_at  # so many requests pass before the first fails
        self.over = threading.Event()  # ends stalls
        self.counts: Counter[str] = Counter()
        self.requests: list[str] = []
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fate(self) -> str:
        """What happens to the next request: a kind of failure, or `passed`."""
        with self._lock:
            fails = self._dice.random() < self.share and len(self.requests) > self.begins_at
            kind = self._dice.choice(self.kinds) if fails else "passed"
            self.counts[kind] += 1
            return kind


def is_listing(path: str) -> bool:
    """Whether the answer tells what is there, rather than the content of a file."""
    return path.startswith("/api/") or "list-type=" in path


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            try:
                body = self._body()
                proxy.requests.append(f"{self.command} {self.path}")
                if ruled := proxy.rule(self.command, self.path, self.headers):
                    self._send(ruled[0], [("Content-Type", "application/xml")], ruled[1])
                else:
                    self._meet(proxy.fate(), body)
            except (OSError, http.client.HTTPException):
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

        def _meet(self, fate: str, body: bytes) -> None:
            match fate:
                case "500" | "503":
                    self._refuse(int(fate))
                case "429":
                    self._refuse(429, ("Retry-After", str(proxy.retry_after)))
                case "reset":
                    self._cut()
                case "lost":
                    self._ask(body)
                    self._cut()
                case "truncated":
                    status, headers, content = self._ask(body)
                    if not content or self.command == "HEAD":
                        self._cut()
                    else:
                        self._send(status, headers, content[: len(content) // 2], len(content))
                        self._cut()
                case "flipped":
                    self._send(*self._ask(body[:-1] + bytes([body[-1] ^ 1]) if body else body))
                case "stall":
                    proxy.over.wait(STALL_SECONDS)
                    self._cut()
                case "rotten" if self.command == "GET" and not is_listing(self.path):
                    status, headers, content = self._ask(body)
                    self._send(status, headers, content[:-1] + bytes([content[-1] ^ 1]) if content else content)
                case "swallowed" if self.command == "PUT":
                    self._send(200, [], b"")
                case _:
                    time.sleep(proxy.delay if fate == "delay" else 0)
                    self._send(*self._ask(body))

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding"):
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(proxy.target, timeout=60)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            skipped = {"transfer-encoding", "content-length", "connection", "expect"}
            for name, value in self.headers.items():
                if name.lower() not in skipped:
                    connection.putheader(name, value)
            if body or self.command in ("POST", "PUT"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            headers = [pair for pair in answer.getheaders() if pair[0].lower() not in skipped]
            if self.command == "HEAD" and (length := answer.getheader("Content-Length")):
                headers.append(("Content-Length", length))
            connection.close()
            return answer.status, headers, content

        def _refuse(self, status: int, *headers: tuple[str, str]) -> None:
            self._send(status, list(headers), b"")

        def _send(self, status: int, headers: list[tuple[str, str]], content: bytes, length: int | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if status not in (204, 304) and not any(name == "Content-Length" for name, _ in headers):
                self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def _cut(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
