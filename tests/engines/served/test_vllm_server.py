"""The arm of `verify` for a GPU, against a stub that speaks vLLM's API. Stock vLLM itself needs a GPU."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from grpo_job.engines.served import Answer, Model, serving, vllm_server
from grpo_job.outcomes import Abandoned
from grpo_job.settings.schema import Settings

ROOT = Path(__file__).parents[3]
STUB = Path(__file__).parent / "stub_vllm.py"
MODEL = Model(Path("/base"), Path("/adapter"), rank=12, max_tokens=64, longest=256, ends={7: "<|end|>"})


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    command = tmp_path / "bin" / "vllm"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {STUB} "$@"\n')
    command.chmod(0o755)
    half_taken = "NVIDIA H100, GPU-1, 80000, 40000, 580.1, 9.0, Disabled"
    command.with_name("nvidia-smi").write_text(f"#!/bin/sh\necho '{half_taken}'\n")
    command.with_name("nvidia-smi").chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "STUB_FILE": str(tmp_path / "told"), "HF_TOKEN": "hf_of_mine"}


def test_the_readme_serves_the_adapter_as_verify_does() -> None:
    (line,) = re.findall(r"^vllm (serve .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    default = Settings()
    model = MODEL._replace(base=Path(default.model), adapter=Path("adapter"), rank=default.lora_rank)
    mine = " ".join(vllm_server.command(model, 8000)[1:]).replace("adapter=adapter", "mine=./adapter")
    assert line == f"serve {default.model} {mine[mine.index('--enable-lora') :]}"


def told(environment: dict[str, str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(environment["STUB_FILE"]).read_text().splitlines()]


def test_base_and_adapter_are_asked_with_explicit_sampling(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", environment["PATH"])  # where Popen looks
    with serving(MODEL, environment, on_gpu=True) as ask:
        adapter = ask(["a?", "b?", "c?"], ["4 apples", "4 pears", "6"], "on")
        base = ask(["a?"], [" four"], "off")
    assert adapter[0] == Answer("4 apples", 0.0)
    assert adapter[1] == Answer("4 apples", pytest.approx(0.1))  # a tie of " apples" and " pears"
    assert adapter[2] == Answer("4 apples", float("inf"))
    assert base == [Answer(" four", 0.0)]
    started, of_adapter, of_base = told(environment)
    assert started["secrets"] is False
    assert started["arguments"][:2] == ["serve", "/base"]
    ending = "--max-lora-rank 16 --lora-modules adapter=/adapter --enforce-eager --gpu-memory-utilization=0.45"
    assert " ".join(started["arguments"]).endswith(ending)
    assert (of_adapter["path"], of_adapter["model"], of_base["model"]) == ("/v1/completions", "adapter", "base")
    assert of_adapter["prompt"] == ["a?", "b?", "c?"]
    sent = {"temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0, "max_tokens": 64, "stop_token_ids": [7]}
    assert sent.items() <= of_adapter.items()


def test_a_server_that_ends_tells_why(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", environment["PATH"])
    refusing = {**environment, "STUB_FILE": str(tmp_path / "refuse")}
    refusal = pytest.raises(Abandoned, match=r"vllm serve did not start: .* ValueError: LoRA rank 16")
    with refusal, serving(MODEL, refusing, on_gpu=True):
        pass


ASKING = """
import os, time
from tests.engines.served.test_vllm_server import MODEL, serving
with serving(MODEL, dict(os.environ), on_gpu=True):
    print("serving", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_server_ends_with_who_asks_it_even_if_that_is_killed(environment: dict[str, str]) -> None:
    asking = [sys.executable, "-c", ASKING]
    with subprocess.Popen(asking, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        (started, *_) = told(environment)
        server = psutil.Process(started["pid"])
        process.kill()
    server.wait(timeout=60)


def test_a_machine_without_vllm_says_so(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    refusal = pytest.raises(Abandoned, match=r"vllm serve cannot be started: .*vllm")
    with refusal, serving(MODEL, {**environment, "PATH": "/nowhere"}, on_gpu=True):
        pass
