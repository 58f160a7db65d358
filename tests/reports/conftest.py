"""Fixtures: run folders as the job leaves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job import reports
from grpo_job.reports import plots
from tests.faults import runs
from tests.reports import made_runs

WriteRun = Callable[..., Path]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished GPU run with its report, plots and card."""
    path = made_runs.write_run(
        tmp_path_factory.mktemp("outputs") / "gsm8k-a1", model="Qwen/Qwen2.5-3B-Instruct", gpu=True
    )
    reports.build([path])
    reports.write_card(path, licence={"license": "other", "license_name": "qwen-research"})
    return path


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that was really trained, measured on the way, and described by the job itself."""
    outputs = tmp_path_factory.mktemp("smoke")
    settings = {"GRPO_EVAL_STEPS": "2", "GRPO_EVAL_SAMPLES": "2", "GRPO_PRICE_PER_HOUR": "2.5"}
    attempt = runs.start(outputs, settings)
    assert attempt.wait() == 0, attempt.said()
    return outputs / runs.RUN_ID


_draw = plots.svg
_drawn: dict[str, str] = {}


@pytest.fixture
def one_drawing_of_equal_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has some 16 plots, and most made runs have the same; those of `finished` and `smoke` are drawn anew."""

    def svg(drawn: plots.Drawn, *, wide: bool = False) -> str:
        if (key := repr((drawn, wide))) not in _drawn:
            _drawn[key] = _draw(drawn, wide=wide)
        return _drawn[key]

    monkeypatch.setattr(plots, "svg", svg)


@pytest.fixture
def write_run(tmp_path: Path, one_drawing_of_equal_plots: None) -> WriteRun:
    """Writes a run folder below `tmp_path`; see `made_runs.write_run`."""

    def write(name: str = "smoke-0123456789", **options: Any) -> Path:
        return made_runs.write_run(tmp_path / name, **options)

    return write
