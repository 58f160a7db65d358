"""Stands in for the command `vllm`: speaks as much of its OpenAI completions API as is asked for, and notes what was.

`vllm serve BASE ...`: the adapter says "4 apples", the base " four". STUB_FILE gets the command line and each request.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

TOKENS = {"adapter": ["4", " apples", "<|end|>"], "base": [" four", "<|end|>"]}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.reply(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note({"path": self.path, **request})
        if request["model"] not in TOKENS:
            return self.reply(404, {"error": {"message": f"The model `{request['model']}` does not exist."}})
        tokens = TOKENS[request["model"]]
        choices = [choice(number, tokens) for number in range(len(request["prompt"]))]
        return self.reply(200, {"choices": choices[::-1]})

    def reply(self, code: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def choice(number: int, tokens: list[str]) -> dict[str, Any]:
    likely = [{token: -0.5, " pears": -0.6, "5": -3.0} for token in tokens]
    text = "".join(tokens[:-1])
    return {"index": number, "text": text, "logprobs": {"tokens": tokens, "top_logprobs": likely}}


def note(fact: Any) -> None:
    with open(os.environ["STUB_FILE"], "a", encoding="utf-8") as file:  # noqa: PTH123
        print(json.dumps(fact), file=file)


def main(arguments: list[str]) -> None:
    note({"arguments": arguments, "pid": os.getpid(), "secrets": "HF_TOKEN" in os.environ})
    if "refuse" in os.environ.get("STUB_FILE", ""):
        print("(EngineCore pid=7) ERROR [core.py:1] ValueError: LoRA rank 16 is greater than max_lora_rank 8.")
        sys.exit("(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed: {}")
    port = int(arguments[arguments.index("--port") + 1])
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
