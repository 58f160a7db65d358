"""Several runs side by side."""

from pathlib import Path

import pytest

from grpo_job import reports
from grpo_job.reports import comparison
from grpo_job.reports.run_data import read
from grpo_job.run_folder.files import write_jsonl
from tests.reports.conftest import WriteRun
from tests.reports.pages import MOST_BYTES, Page, stands_in


@pytest.fixture
def three(write_run: WriteRun) -> list[Path]:
    learning = {"a": (1e-3, (0.36, 0.83)), "b": (0.0, (0.36, 0.36)), "c": (1e-1, (0.36, 0.12))}
    return [
        write_run(name, seed=seed, steps=8, rows=120, accuracy=accuracy, learning_rate=rate)
        for seed, (name, (rate, accuracy)) in enumerate(learning.items())
    ]


def test_comparison_lays_runs_side_by_side(three: list[Path]) -> None:
    path = reports.build(three)
    assert path == three[0].parent / "comparison.html"
    page = path.read_text(encoding="utf-8")
    assert len(page.encode()) < MOST_BYTES
    assert Page(page).headings == ["3 runs side by side", "Settings that differ", "Training", "Time", "Samples"]
    assert [page.count(f">{title}<") for title in ("Improved", "No evidence of a change", "Worse")] == [2, 2, 2]
    assert "GRPO_LEARNING_RATE" in page.replace("<wbr>", "")
    for figure, _ in Page(page).figures:
        assert float(figure["value"]) == pytest.approx(stands_in(three[0].parent / figure["data-run"], figure["title"]))


def test_only_settings_that_differ_are_listed(three: list[Path]) -> None:
    assert comparison.differing([read(path) for path in three]) == [("GRPO_LEARNING_RATE", ["0.001", "0", "0.1"])]


def test_questions_on_which_the_runs_differ_come_first(three: list[Path]) -> None:
    shared = comparison.shared_questions([read(path) for path in three])
    assert len(shared) == 6
    assert all(len({record["correct"] for record in records}) == 2 for _, _, records in shared)


def test_a_run_has_its_colour_and_name_where_it_is_the_only_one_that_logged_something(three: list[Path]) -> None:
    for path in three[:2]:
        rows = [{k: v for k, v in row.items() if k != "entropy"} for row in read(path).metrics]
        write_jsonl(path / "metrics.jsonl", rows)
    page = reports.build(three).read_text(encoding="utf-8")
    figure = page[page.index('<figure id="plot-entropy">') :].partition("</figure>")[0]
    assert '<i class="d2" style="--key: var(--c3)"></i>c</li>' in figure
    assert "var(--c3)" in figure[figure.index("<svg") :]
    assert "var(--c1)" not in figure


def test_run_without_results_stands_beside_a_finished_one(write_run: WriteRun, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    page = reports.build([write_run(steps=0, rows=5), tmp_path / "nothing"]).read_text(encoding="utf-8")
    assert "No verdict: unknown" in page
    assert "No held-out question was answered by all of these runs." in page
