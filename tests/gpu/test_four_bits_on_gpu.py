"""A base in 4 bits for training, and in 16 for vLLM: what samples is what is trained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json
from tests.gpu import runs

pytestmark = pytest.mark.gpu

LAYERS = 21  # seven in each of the sample's three
APART = 0.05  # in nats: the mean of |log p by vLLM - log p by training| over the tokens of a step


@pytest.mark.parametrize("engine", ["unsloth", "trl"])
def test_vllm_samples_from_what_training_holds_in_4_bits(engine: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu.four_bits", engine, str(tmp_path)]
    done = subprocess.run(command, cwd=runs.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"dequantizes"')))
    print(json.dumps({"engine": engine, **told}))
    assert (told["dequantizes"], told["layers"], told["quantized"], told["moved"]) == (True, LAYERS, LAYERS, LAYERS)
    assert told["as_training_computes"]
    assert told["weights_come_back"]
    assert told["folded_again"]
    assert told["answers_come_back"]
    assert len(told["apart"]) == 3
    assert max(told["apart"]) < APART


def test_the_kernels_of_4_bits_remain_for_who_asks_for_them(tmp_path: Path) -> None:
    settings = {"GRPO_ENGINE": "unsloth", "GRPO_LOAD_IN_4BIT": "true", "GRPO_MAX_STEPS": "3"}
    assert runs.start(tmp_path, {**settings, "GRPO_ROLLOUT_WEIGHTS": "lora"}).wait(300) == 0, runs.said(tmp_path)
    plan = read_json(runs.folder(tmp_path).environment)["plan"]
    assert (plan["load_in_4bit"], plan["weight_sync"]) == (True, "lora")
