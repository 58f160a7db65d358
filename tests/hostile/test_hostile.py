"""A small sample of the hostile campaign, with a fixed seed: `make campaign PART=hostile` is the whole of it."""

from pathlib import Path

import pytest

from tests.hostile.attempts import trial
from tests.hostile.cases import KINDS

SAMPLE = [
    *(("check", kind, seed) for kind in KINDS for seed in (1, 2)),
    *((command, kind, 3) for command in ("report", "publish", "evaluate") for kind in ("runs", "checkpoints")),
    *(("run", kind, 4) for kind in ("folders", "configs")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "kind", "seed"), SAMPLE)
def test_nothing_of_a_stranger_runs_leads_out_or_hangs(command: str, kind: str, seed: int, tmp_path: Path) -> None:
    what, wrong = trial(tmp_path / "case", command, kind, seed)
    assert not wrong, f"{what}: {wrong}"
