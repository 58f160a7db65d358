"""Real runs of a pretrained model, of which it is known what they learned; benchmarks/HEALTH.md lists them."""

import json
from pathlib import Path
from typing import Any

import pytest

from grpo_job.monitoring.health import Health
from grpo_job.settings.schema import Settings
from tools.readme_tables import HISTORIES

RUNS = sorted(HISTORIES.rglob("*.json"))


def rows_of(metrics: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, from one list a metric."""
    return [
        {name: value for name, value in zip(metrics, step, strict=True) if value is not None}
        for step in zip(*metrics.values(), strict=True)
    ]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_health_says_of_a_real_run_what_was_true_of_it(path: Path) -> None:
    run = json.loads(path.read_text())
    health = Health(Settings(**run["settings"]))
    found = [one for row in rows_of(run["metrics"]) for one in health.update(row)]
    ends = {"warn": "", "hopeless": ", ends the run"}
    assert {one.kind + ends[one.severity]: one.step for one in found} == run["found"]
