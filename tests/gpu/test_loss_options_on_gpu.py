"""Each option of the loss acts on Unsloth and on TRL with vLLM."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu import runs
from tests.gpu.loss_options import OPTIONS

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=["unsloth", "trl"])
def losses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Option -> the loss without and with it."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    command = [sys.executable, "-m", "tests.gpu.loss_options", str(folder), request.param]
    done = subprocess.run(command, cwd=runs.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    print(request.param, json.dumps(found))
    return found


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_loss_changes_it(option: str, losses: dict[str, list[float]]) -> None:
    without, given = losses[option]
    assert abs(given - without) > 1e-4 * max(abs(without), 1e-3), f"{option}: {without} and {given}"
