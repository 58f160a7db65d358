"""The closing lines of a run, made of its summary."""

import doctest
from pathlib import Path

from grpo_job.outcomes import Interrupted
from grpo_job.run_folder import summary
from grpo_job.run_folder.summary import Summary, closing_lines


def test_doctests() -> None:
    assert doctest.testmod(summary).failed == 0


def test_a_run_that_ended_at_once_names_no_phases(tmp_path: Path) -> None:
    found = Summary(tmp_path / "summary.json", "run")
    found.write(Interrupted("SIGINT was received").outcome(), {"check": 0.1, "total": 0.6})
    assert closing_lines(found.values, tmp_path)[-2:] == ["time: 1 s", "interrupted (exit 75): SIGINT was received"]
