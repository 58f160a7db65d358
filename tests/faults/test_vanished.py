"""Run folders of which somebody removes something in mid-run: noticed, told, and never published."""

from pathlib import Path

import pytest

from grpo_job.run_folder.files import sha256
from tests.faults import runs
from tests.faults.hooks import RemovedAfterStep, WithoutReport
from tests.faults.small_files import ADAPTER, SETTINGS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("names", "step"),
    [((".",), 1), ((".",), 3), (("lease",), 2), (("metrics.jsonl",), 1), (("completions.jsonl", "evaluation"), 2),
     (("environment.json",), 2)],
)  # fmt: skip
def test_a_run_folder_that_vanishes_in_mid_run_ends_it_with_1_and_names_it(
    tmp_path: Path, names: tuple[str, ...], step: int
) -> None:
    settings = {**SETTINGS, "GRPO_PUBLISH_TO": f"file://{tmp_path}/published"}
    attempt = runs.start(tmp_path, settings, hooks=[RemovedAfterStep(step, names), WithoutReport()])
    assert attempt.wait() == 1, attempt.said()
    said = attempt.said()
    assert "Traceback" not in said
    assert "while the run was going on: find out what removes or unmounts it" in said
    assert str(tmp_path / runs.RUN_ID) in said
    assert not (tmp_path / "published" / "manifest.json").exists()
    assert runs.finish(tmp_path, settings, hooks=[WithoutReport()]) == 0
    assert sha256(tmp_path / "published" / ADAPTER.name) == sha256(tmp_path / ADAPTER)
