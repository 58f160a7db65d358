"""Gradients of Unsloth (graphs, kernels, pieces, merged) and of TRL with vLLM are those of plain formulas in fp32."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu import runs
from tests.gpu.gradients import VARIANTS, is_merged, losses

pytestmark = pytest.mark.gpu

CASES = list(itertools.product(VARIANTS, ("0", "0.1"), ("1", "2")))
# The engines compute in bf16, the formulas in fp32.
COSINE, RATIO = 0.98, 0.05


@pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES])
def test_the_gradients_are_those_of_the_formulas(case: tuple[str, str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu.gradients"]
    for arguments in (["train", str(tmp_path), *case], ["compare", str(tmp_path)]):
        done = subprocess.run([*command, *arguments], cwd=runs.ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    print(json.dumps({"case": case, "rows": rows}))
    variant, _, iterations = case
    assert {row["loss"] for row in rows} == set(losses(variant))
    assert not is_merged(variant) or len(rows) == len(losses(variant)) * int(iterations)  # one micro-batch a step
    for row in rows:
        assert row["cosine"] >= COSINE, row
        assert row["ratio"] == pytest.approx(1, abs=RATIO), row
