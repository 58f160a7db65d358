"""What a trained run's folder must hold before it is published."""

from pathlib import Path
from typing import Any

import pytest

from grpo_job.run_folder.files import write_json, write_jsonl, write_text
from grpo_job.run_folder.paths import WEIGHTS, RunFolder

SUMMARY: dict[str, Any] = {"adapter": {"sha256": None}, "steps": {"done": 7}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path)
    for path in (found.settings, found.environment, found.before, found.after, found.adapter / WEIGHTS):
        write_text(path, "{}")
    write_json(
        found.verdict,
        {"verdict": "improved", "primary": {}, "measure": {"name": "correct", "share": True}, "notes": []},
    )
    return found


@pytest.mark.parametrize(("logged", "lacks"), [((5, 7), False), ((1, 7), False), ((5,), True), ((), True)])
def test_metrics_are_whole_with_the_last_step_however_seldom_steps_are_logged(
    logged: tuple[int, ...], lacks: bool, folder: RunFolder
) -> None:
    write_jsonl(folder.metrics, [{"step": step} for step in logged])
    found = folder.lacks(SUMMARY)
    assert ("metrics.jsonl does not hold" in found) is lacks, found
