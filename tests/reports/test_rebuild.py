"""`grpo-job report` of a folder that others may have changed: rebuilt, or refused with its name."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from grpo_job import reports
from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder.files import sha256
from grpo_job.run_folder.summary import RUNNING
from tests.reports.conftest import WriteRun


@pytest.fixture
def run(write_run: WriteRun) -> Path:
    return write_run("run")


@pytest.mark.slow
def test_a_report_that_is_rebuilt_from_the_same_folder_is_the_same(run: Path) -> None:
    first = reports.rebuild([run]).read_text()
    (run / "report.html").unlink()
    assert reports.rebuild([run]) == run / "report.html"
    assert (run / "report.html").read_text() == first


@pytest.mark.slow
def test_a_report_that_is_rebuilt_is_no_damage_to_who_publishes_the_run(run: Path) -> None:
    plot = next((run / "plots").glob("*.png"), None) or reports.rebuild([run]).parent / "plots" / "reward.png"
    summary = json.loads((run / "summary.json").read_text())
    names = ["report.html", str(plot.relative_to(run)), "metrics.jsonl"]
    summary["records"] = dict.fromkeys(names, "0" * 64)
    (run / "summary.json").write_text(json.dumps(summary))
    reports.rebuild([run])
    records = json.loads((run / "summary.json").read_text())["records"]
    assert records == {**{name: sha256(run / name) for name in names[:2]}, "metrics.jsonl": "0" * 64}
    (run / "summary.json").write_text(json.dumps({**summary, "ending": RUNNING}))
    reports.rebuild([run])
    assert json.loads((run / "summary.json").read_text())["records"] == summary["records"]


def test_a_folder_that_is_no_runs_is_refused_and_left_as_it_was(run: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for folders in ([adapter], [run, adapter]):
        with pytest.raises(InvalidRun, match=r"adapter: there is no settings\.json; allowed: a run folder, or a"):
            reports.rebuild(folders, tmp_path / "page.html" if len(folders) > 1 else None)
    assert list(adapter.iterdir()) == []


def test_nothing_is_written_into_a_published_tree(run: Path, tmp_path: Path) -> None:
    """Its manifest has the digests of report and plots: `verify` and `reproduce` would take others for damage."""
    tree = tmp_path / "tree"
    shutil.copytree(run, tree / "run")
    (tree / "manifest.json").write_text("{}")
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    for folder in (tree, tree / "run"):
        with pytest.raises(InvalidRun, match=r"it is a published tree, .*run/report\.html; allowed: --output FILE"):
            reports.rebuild([folder])
    page = tmp_path / "page.html"
    assert reports.rebuild([tree], page) == page
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("summary.json", {"accuracy": 7}),
    ("summary.json", {"ending": "done"}),
    ("summary.json", {"seconds": [1, 2]}),
    ("settings.json", {"settings": {"rewards": 5}}),
]


@pytest.mark.parametrize(("file", "change"), REFUSED)
def test_a_file_of_another_shape_is_refused_by_the_name_of_its_folder(
    file: str, change: dict[str, Any], run: Path
) -> None:
    path = run / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidRun, match=re.escape(str(run))):
        reports.rebuild([run])


def test_a_page_that_cannot_be_written_is_refused_by_its_name(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InvalidRun, match=r"the report cannot be written: .*/file'; allowed: --output FILE"):
        reports.rebuild([run], tmp_path / "file" / "page.html")
