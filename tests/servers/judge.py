"""A service that judges as OpenAI-compatible ones do: it takes a while, and fails in a share of its calls.

Which calls fail is decided by what is asked and how often it was asked before: the same in each run.
"""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Score = Callable[[str], str]


class Judge(ThreadingHTTPServer):
    """`score` answers the text that is asked; `url` is what the job is told."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(
        self, score: Score, *, seconds: float = 0.0, failing: float = 0.0, status: int = 503, retry_after: str = "0"
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.score, self.seconds, self.failing, self.status = score, seconds, failing, status
        self.retry_after = retry_after
        self.asked: Counter[str] = Counter()
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def seconds_of(self, text: str) -> float:
        """From the first call for this text to the end of the last, pauses included."""
        return self.ended[text] - self.began[text]

    def fails(self, text: str) -> bool:
        with self.lock:
            self.asked[text] += 1
            number = self.asked[text]
        digest = hashlib.sha256(f"{number}{text}".encode()).digest()
        return digest[0] / 256 < self.failing


class _Handler(BaseHTTPRequestHandler):
    server: Judge

    def do_POST(self) -> None:
        judge = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][0]["content"]
        with judge.lock:
            judge.bodies.append(body)
            judge.began.setdefault(text, time.monotonic())
            judge.keys.append(self.headers.get("Authorization"))
            judge.at_once += 1
            judge.most_at_once = max(judge.most_at_once, judge.at_once)
        time.sleep(judge.seconds)
        with judge.lock:
            judge.at_once -= 1
            judge.ended[text] = time.monotonic()
        if judge.fails(text):
            return self._answer(judge.status, {"error": "busy"})
        message = {"message": {"role": "assistant", "content": judge.score(text)}}
        return self._answer(200, {"choices": [message], "usage": {"total_tokens": 10}})

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if status != 200:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@contextmanager
def judging(score: Score, **how: Any) -> Iterator[Judge]:
    server = Judge(score, **how)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
