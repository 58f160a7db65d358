"""Gradients of Unsloth (with graphs, without, in pieces) and of TRL with vLLM are those of plain formulas in fp32."""

import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.gpu import runs
from tests.gpu.gradients import VARIANTS

pytestmark = pytest.mark.gpu

CASES = list(itertools.product(VARIANTS, ("0", "0.1"), ("1", "2")))
AT_ONCE = 4
# The engines compute in bf16, the formulas in fp32.
COSINE, RATIO = 0.98, 0.05


def found(folder: Path, case: tuple[str, str, str]) -> list[dict[str, Any]]:
    """One row per micro-batch and loss."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.gpu.gradients"]
    for arguments in (["train", str(folder), *case], ["compare", str(folder)]):
        done = subprocess.run([*command, *arguments], cwd=runs.ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def all_found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Any]:
    """Rows of each case, or why there are none."""
    outputs = tmp_path_factory.mktemp("gradients")

    def attempt(case: tuple[str, str, str]) -> Any:
        try:
            return found(outputs / "-".join(case), case)
        except AssertionError as error:
            return str(error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(CASES, pool.map(attempt, CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES])
def test_the_gradients_are_those_of_the_formulas(case: tuple[str, str, str], all_found: dict[Any, Any]) -> None:
    rows = all_found[case]
    assert isinstance(rows, list), rows
    print(json.dumps({"case": case, "rows": rows}))
    assert {row["loss"] for row in rows} == {"grpo", "dapo", "dr_grpo", "cispo"}
    for row in rows:
        assert row["cosine"] >= COSINE, row
        assert row["ratio"] == pytest.approx(1, abs=RATIO), row
