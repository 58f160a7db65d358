"""Stock `vllm serve` with the adapter, asked over HTTP as OpenAI's completions API has it."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

import httpx

from grpo_job.engines.interface import Adapter
from grpo_job.engines.served import Answer, Ask, Model, Step, gap
from grpo_job.outcomes import Abandoned, in_one_line
from grpo_job.runtime import machine

NAMES = {"on": "adapter", "off": "base"}
LIKELIEST = 20  # what `vllm serve` allows without a flag
PROMPTS, REQUESTS = 50, 8  # of one request, and at a time
LONGEST_START, LONGEST_ANSWER = 1_200.0, 1_200.0  # seconds
# A few hundred answers do not repay compiling; and training's vLLM, which compiles nothing either, rounds alike.
EAGER = "--enforce-eager"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what `max_lora_rank` accepts
PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
EXCEPTION = re.compile(r"\b\w*(Error|Exception): ")
# Sent with each request, so that no default of the model or of the server decides.
GREEDY = {
    "temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "n": 1, "seed": 0, "logprobs": LIKELIEST, "add_special_tokens": False,
    "skip_special_tokens": True,
}  # fmt: skip


@contextmanager
def serving(model: Model, environment: Mapping[str, str]) -> Iterator[Ask]:
    """See `served.serving`."""
    port = _free_port()
    with (
        tempfile.TemporaryFile("w+") as log,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LONGEST_ANSWER, trust_env=False) as client,
    ):
        try:
            process = subprocess.Popen(
                [*command(model, port), EAGER, *_share(environment)], env=environment,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_its_parent,
            )  # fmt: skip
        except OSError as error:
            raise Abandoned(f"vllm serve cannot be started: {error}") from error
        try:
            _wait(process, client, log)
            yield partial(_ask, client, model)
        finally:
            _end(process)


def _share(environment: Mapping[str, str]) -> list[str]:
    """What vLLM may take of the GPU's memory: where its usual share is not free, as after a training in this process,
    it does not start."""
    seen = machine.gpus(environment.get("CUDA_VISIBLE_DEVICES"))[:1]
    return [f"--gpu-memory-utilization={0.9 * (1 - gpu.used_mib / gpu.memory_mib):.2f}" for gpu in seen]


def _end_with_its_parent() -> None:
    """In the child: a SIGTERM when the process that asks it ends, even by SIGKILL; it would keep the GPU's memory."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def command(model: Model, port: int) -> list[str]:
    """`vllm serve BASE --enable-lora --lora-modules adapter=DIR`; the base alone without an adapter."""
    rank = next((allowed for allowed in RANKS if allowed >= model.rank), model.rank)
    lora = ["--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", f"{NAMES['on']}={model.adapter}"]
    names = [NAMES["off"]] if model.adapter else [NAMES["off"], NAMES["on"]]
    return [
        "vllm", "serve", str(model.base), "--host", "127.0.0.1", "--port", str(port),
        "--generation-config", "vllm", "--max-model-len", str(model.longest), "--served-model-name", *names,
        *(lora if model.adapter else []),
    ]  # fmt: skip


def _ask(
    client: httpx.Client, model: Model, prompts: Sequence[str], recorded: Sequence[str], adapter: Adapter
) -> list[Answer]:
    sampling = {**GREEDY, "max_tokens": model.max_tokens, "stop_token_ids": list(model.ends)}

    def ask(start: int) -> list[Answer]:
        asked = list(prompts[start : start + PROMPTS])
        choices = _choices(client, {"model": NAMES[adapter], "prompt": asked, **sampling})
        if len(choices) != len(asked):
            raise Abandoned(f"vllm serve gave {len(choices)} answers to {len(asked)} prompts")
        known = recorded[start : start + PROMPTS]
        return [_answer(choice, text, model.ends) for choice, text in zip(choices, known, strict=True)]

    with ThreadPoolExecutor(REQUESTS) as pool:
        return [answer for answers in pool.map(ask, range(0, len(prompts), PROMPTS)) for answer in answers]


def _choices(client: httpx.Client, request: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        reply = client.post("/v1/completions", json=request)
    except httpx.HTTPError as error:
        raise Abandoned(f"vllm serve does not answer: {in_one_line(error) or type(error).__name__}") from error
    if reply.status_code != httpx.codes.OK:
        raise Abandoned(f"vllm serve answers {reply.status_code}: {' '.join(reply.text.split())[:300]}")
    return sorted(reply.json()["choices"], key=lambda choice: int(choice["index"]))


def _answer(choice: Mapping[str, Any], recorded: str, ends: Mapping[int, str]) -> Answer:
    """With the gap where it parts from the recorded one."""
    text = str(choice["text"])
    if text == recorded:
        return Answer(text)
    steps, place, ending = list[Step](), 0, set(ends.values())
    for token, likely in zip(choice["logprobs"]["tokens"], choice["logprobs"]["top_logprobs"], strict=True):
        said = "" if token in ending else token
        shown = {"" if each in ending else each: value for each, value in sorted(likely.items(), key=_value)}
        steps.append(Step(place, said, shown))
        if not said or not recorded.startswith(said, place):
            return Answer(text, gap(steps, recorded))
        place += len(said)
    return Answer(text, float("inf"))


def _value(item: tuple[str, float]) -> float:
    return item[1]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", client: httpx.Client, log: IO[str]) -> None:
    """Until it says that it is healthy. Raises `Abandoned` with the last line of its log if it ends."""
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.get("/health", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass  # it does not listen yet
        time.sleep(0.2)
    log.seek(0)
    raise Abandoned(f"vllm serve did not start: {_reason(log.read().splitlines())[:500]}")


def _reason(said: Sequence[str]) -> str:
    """The last exception that its processes told, and not that of the one that only saw another end.

    >>> _reason(["(EngineCore pid=7) ValueError: too little memory", "(APIServer pid=1) RuntimeError: Engine core "
    ...     "initialization failed. See root cause above. Failed core proc(s): {}"])
    '(EngineCore pid=7) ValueError: too little memory'
    """
    lines = [line.strip() for line in reversed(said) if line.strip()]
    exceptions = (line for line in lines if EXCEPTION.search(line) and "See root cause above" not in line)
    return next(exceptions, lines[0] if lines else "it said nothing")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With its workers, which are of its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=60)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
