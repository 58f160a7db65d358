"""One text for a prompt, on the engines of a GPU: evaluation and training ask vLLM with what the job renders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu import runs

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("engine", ["trl", "unsloth"])
def test_training_and_evaluation_ask_with_the_rendered_text(engine: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu.asked", engine, str(tmp_path)]
    done = subprocess.run(command, cwd=runs.ROOT, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    asked = json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))
    assert asked["rendered"][0].endswith("<|end|>\n<|assistant|>\n<reasoning>\n")
    assert asked["evaluation"] == asked["training"] == asked["rendered"]
