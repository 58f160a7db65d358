"""The page of one run: what is in it, that its figures are the run folder's, and that it stands alone."""

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo_job import reports
from grpo_job.outcomes import Outcome
from grpo_job.reports import html, questions
from grpo_job.reports.run_data import read
from grpo_job.run_folder.files import read_json, read_jsonl, write_json, write_jsonl
from grpo_job.run_folder.summary import RUNNING, Summary
from tests.reports.conftest import WriteRun
from tests.reports.made_runs import HOME, SECRET
from tests.reports.pages import MOST_BYTES, Page, wrong_figures


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_page_has_its_main_sections(finished: Path) -> None:
    page = Page(page_of(finished))
    assert page.headings == [
        "gsm8k-a1", "Accuracy", "Training", "Time and cost", "Cost", "Samples", "At the start (step 1)",
        "At the end (step 40)", "Health", "Origin", "Published", "Checkpoints", "Settings",
    ]  # fmt: skip
    for plot in (
        "accuracy", "reward", "reward-correct", "reward-format_tags", "length", "clipped", "groups", "entropy", "loss",
        "gradient", "learning-rate", "phases", "parts", "step-time", "tokens", "memory",
    ):  # fmt: skip
        assert f'<figure id="plot-{plot}">' in page_of(finished)
        assert (finished / "plots" / f"{plot}.png").read_bytes().startswith(b"\x89PNG")


def test_verdict_comes_first(finished: Path) -> None:
    page = page_of(finished)
    assert page.index(">Improved<") < page.index("<svg") < page.index("<h2")


def test_table_of_accuracy_says_points_only_of_shares(write_run: WriteRun) -> None:
    """A mean reward has neither a share nor points."""
    folder = write_run(golds=False)
    judged = read_json(folder / "evaluation" / "evaluation.json")
    write_json(folder / "evaluation" / "evaluation.json", {**judged, "measure": {**judged["measure"], "share": False}})
    table = html.report(read(folder)).partition('<table class="stack">')[2].partition("</table>")[0]
    heading, own, kept = table.split("<tr>")[1:]
    assert "points" not in heading
    assert "share of" not in heading
    assert "points" not in own
    assert kept.count(" points") == 1


def test_page_is_small(finished: Path) -> None:
    assert (finished / "report.html").stat().st_size < MOST_BYTES


def test_page_of_a_long_run_with_long_completions_is_small(write_run: WriteRun) -> None:
    folder = write_run(steps=2_000, rows=1_319, gpu=True)
    for name in ("before", "after"):
        records = read_jsonl(folder / "evaluation" / f"{name}.jsonl")
        write_jsonl(
            folder / "evaluation" / f"{name}.jsonl",
            [{**record, "completion": record["completion"] + "é" * 4_000} for record in records],
        )
    page = html.report(read(folder))
    assert len(page.encode()) < MOST_BYTES
    assert "200 of 2000, evenly spaced" in page


def test_page_fetches_and_runs_nothing(finished: Path) -> None:
    page = Page(page_of(finished))
    assert all(address.startswith(("#", "data:,")) for address in page.fetched)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "form"}
    assert "default-src 'none'" in page_of(finished)
    assert not re.search(r"@import|url\((?!#)", page_of(finished))


def test_completions_cannot_become_markup(finished: Path) -> None:
    assert "<script" not in page_of(finished)
    assert "&lt;script&gt;alert" in page_of(finished)


def test_ids_are_unique_and_every_reference_has_one(finished: Path) -> None:
    page = page_of(finished)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_every_figure_equals_the_run_folders(finished: Path) -> None:
    page = page_of(finished)
    assert wrong_figures(finished, page) == []
    figures = Page(page).figures
    shown = {attributes["title"] for attributes, _ in figures}
    assert len(shown) > 40
    assert shown >= {
        "summary.json: accuracy.before", "summary.json: accuracy.after", "summary.json: before_publishing.cost",
        "summary.json: seconds.first_step", "summary.json: steps.done", "metrics.jsonl: median step_time",
        "metrics.jsonl: median tokens_per_second", "metrics.jsonl: max gpu_memory_gib",
        "evaluation/evaluation.json: correct.p_value", "evaluation/evaluation.json: correct.difference_interval.0",
        "evaluation/evaluation.json: format.after_interval.1", "environment.json: dataset.held_out.in_training",
    }  # fmt: skip


@pytest.mark.slow
def test_every_figure_of_a_real_run_equals_its_folders(smoke: Path) -> None:
    page = page_of(smoke)
    assert wrong_figures(smoke, page) == []
    shown = {attributes["title"] for attributes, _ in Page(page).figures}
    assert shown >= {
        "summary.json: accuracy.after", "summary.json: before_publishing.cost", "summary.json: cost.train",
        "metrics.jsonl: median step_time", "evaluation/evaluation.json: sampled.after.pass.2",
    }  # fmt: skip
    assert {"Accuracy", "Sampled answers", "Training", "Time and cost", "Cost", "Samples", "Health", "Origin"} <= set(
        Page(page).headings
    )
    assert len(page.encode()) < MOST_BYTES


def test_table_of_steps_equals_the_metrics(finished: Path) -> None:
    table = re.search(r'<table class="steps">.*?</table>', page_of(finished), re.DOTALL)
    assert table
    columns = re.findall(r"<th [^>]*>(.*?)</th>", table[0])
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(<td.*?)</tr>", table[0])]
    metrics = read_jsonl(finished / "metrics.jsonl")
    assert len(rows) == len(metrics)
    for cells, row in zip(rows, metrics, strict=True):
        for cell, column in zip(cells, columns, strict=True):
            assert float(cell.replace("−", "-").replace(",", "")) == pytest.approx(row[column], rel=1e-3, abs=5e-5)


def test_samples_show_both_completions_and_what_each_reward_paid(finished: Path) -> None:
    page = page_of(finished)
    sample = page[page.index('<div class="eyebrow">Gained') :][:3_000]
    assert sample.index("✗ wrong") < sample.index("correct 0") < sample.index("✓ correct") < sample.index("correct 1")


def test_page_and_card_call_no_answer_right_or_wrong_where_rows_have_no_right_answers(write_run: WriteRun) -> None:
    path = write_run(rows=60, golds=False)
    page, card = reports.build([path]).read_text(), reports.write_card(path).read_text()
    for text in (page, card):
        assert "Format correct" in text
        assert not any(said in text for said in ("Answer correct", "the answer is", "✗ wrong", "✓ correct"))


def test_the_legend_names_every_interval_that_is_drawn(write_run: WriteRun) -> None:
    path = write_run(rows=60)
    assert "after the warm start</li>" not in html.report(read(path))
    verdict = read_json(path / "evaluation" / "evaluation.json")
    judged = {key: {**verdict[key], "warm": 0.5, "warm_interval": [0.4, 0.6]} for key in ("primary", "correct")}
    write_json(path / "evaluation" / "evaluation.json", {**verdict, **judged})
    assert "after the warm start</li>" in html.report(read(path))
    assert "and before GRPO: 50.0%." in reports.write_card(path).read_text()


def test_an_answer_is_called_right_by_the_measure_of_the_run(write_run: WriteRun) -> None:
    path = write_run(rows=60)
    verdict = read_json(path / "evaluation" / "evaluation.json")
    write_json(
        path / "evaluation" / "evaluation.json",
        {**verdict, "measure": {"name": "reward choice", "share": True, "weights": [["choice", 1.0]]}},
    )
    record = {"gold": "B", "correct": False, "correct_lenient": False, "rewards": {"choice": 1.0}}
    assert questions.right(read(path), record) is True
    assert questions.right(read(path), {**record, "rewards": {"choice": None}}) is None


def test_page_tells_no_secret_and_no_path_of_the_machine(write_run: WriteRun) -> None:
    folder = write_run(steps=0, rows=5)
    summary = read_json(folder / "summary.json")
    summary["ending"] = {"code": 1, "kind": "unexpected", "reason": f"OSError: {HOME}/x/y.bin with {SECRET}"}
    write_json(folder / "summary.json", summary)
    page = html.report(read(folder))
    assert HOME not in page
    assert "/srv/models" not in page
    assert SECRET not in page
    assert "OSError: …/y.bin with [secret]" in page


def test_same_folder_gives_the_same_page(finished: Path) -> None:
    assert html.report(read(finished)) == page_of(finished)


def test_health_findings_are_shown(write_run: WriteRun) -> None:
    folder = write_run(steps=0, rows=5)
    found = {"step": 3, "level": "hopeless", "kind": "no_signal", "message": "every group is without spread"}
    findings = [found, {**found, "step": 5, "kind": "clipped", "message": "clipped above 80%"}]
    write_json(folder / "summary.json", {**read_json(folder / "summary.json"), "health": findings})
    page = html.report(read(folder))
    assert "<b>Step 3</b>: every group is without spread" in page
    assert "clipped above 80%" in page


def test_prompts_of_the_settings_are_answered_side_by_side(finished: Path) -> None:
    page = page_of(finished)
    assert page.index("strawberry") < page.index("There are two.") < page.index("Three.")


def test_rows_that_were_left_out_are_counted(finished: Path) -> None:
    page = " ".join(re.sub("<[^>]*>", "", page_of(finished)).split())
    assert "2 held-out questions that occur in the training rows were left out" in page
    assert "training rows1,990 of 2,000 (10 duplicate)" in page.replace("rows 1", "rows1")


@pytest.mark.parametrize(
    ("missing", "headline"),
    [
        (("evaluation/after.jsonl", "evaluation/evaluation.json", "adapter", "plots"), "No verdict: interrupted"),
        (("evaluation", "completions.jsonl", "checkpoints"), "No verdict: interrupted"),
        (("evaluation", "completions.jsonl", "checkpoints", "metrics.jsonl", "environment.json"), "No verdict"),
        (("evaluation", "metrics.jsonl", "summary.json", "settings.json", "environment.json"), "No verdict: unknown"),
    ],
)  # fmt: skip
def test_run_that_stopped_early_has_a_report(write_run: WriteRun, missing: tuple[str, ...], headline: str) -> None:
    folder = write_run(steps=4, rows=10)
    summary = read_json(folder / "summary.json")
    accuracy = {"before": 0.36, "after": None, "rows": 10, "verdict": None, "p_value": None}
    ending = {"code": 75, "kind": "interrupted", "reason": "SIGTERM was received: the same command resumes the run"}
    write_json(folder / "summary.json", {**summary, "ending": ending, "accuracy": accuracy, "published": []})
    for name in missing:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    page = html.report(read(folder))
    assert headline in page
    if "summary.json" not in missing:
        assert "SIGTERM was received" in page


@pytest.mark.parametrize("ending", [RUNNING, {"code": 0, "kind": "finished", "reason": "trained"}])
def test_page_and_card_of_a_run_that_stopped_early_say_why_also_when_written_again(
    write_run: WriteRun, ending: dict[str, Any]
) -> None:
    folder = write_run(steps=4, rows=60)
    stopped = {"stopped": "ended after step 4 of 9: the time is over", "kept": {"step": 3, "eval_accuracy": 0.5}}
    write_json(folder / "summary.json", {**read_json(folder / "summary.json"), **stopped, "ending": ending})
    page, card = html.report(read(folder)), reports.write_card(folder).read_text()
    assert "<b>Stopped early</b>: ended after step 4 of 9: the time is over" in page
    assert "Training ended after step 4 of 9: the time is over." in card
    assert all("step of the adapter" in text for text in (page, card))


@pytest.mark.parametrize(("code", "kind"), [(75, "interrupted"), (4, "hopeless"), (None, "running")])
def test_a_run_whose_training_went_on_tells_nothing_of_its_earlier_result(
    write_run: WriteRun, code: int | None, kind: str
) -> None:
    folder = write_run(steps=4, rows=60)
    summary = Summary(folder / "summary.json", "a run")
    summary.forget_result()
    summary.write(Outcome(code, kind, "it ended"))  # type: ignore[arg-type]
    page = html.report(read(folder))
    assert "Improved" not in page
    assert "95% interval" not in page
    assert "total without publishing" not in page
    assert "strawberry" not in page


def test_a_run_that_stopped_between_its_final_evaluation_and_the_verdict_says_so(write_run: WriteRun) -> None:
    folder = write_run(steps=4, rows=60)
    summary = read_json(folder / "summary.json")
    accuracy = {**summary["accuracy"], "verdict": None, "p_value": None}
    ending = {"code": 1, "kind": "unexpected", "reason": "the saved adapter differs from the trained one"}
    write_json(folder / "summary.json", {**summary, "accuracy": accuracy, "ending": ending})
    page = html.report(read(folder))
    assert "No comparison of before and after: the run stopped before its result was judged" in page
    assert "The adapter was measured, but not compared." in page


def test_empty_folder_has_a_report(tmp_path: Path) -> None:
    assert "No verdict: unknown" in reports.build([tmp_path]).read_text(encoding="utf-8")


def test_metrics_that_are_not_numbers_do_not_hinder_the_report(write_run: WriteRun) -> None:
    folder = write_run(steps=4, rows=10)
    rows = read_jsonl(folder / "metrics.jsonl")
    broken = [{**row, "loss": math.nan, "reward": None, "grad_norm": math.inf} for row in rows]
    write_jsonl(folder / "metrics.jsonl", [*rows[:2], *broken[2:]])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "rew')
    assert "plot-loss" in html.report(read(folder))


def test_published_tree_holds_a_run(write_run: WriteRun, tmp_path: Path) -> None:
    shutil.copytree(write_run(steps=0, rows=5), tmp_path / "downloaded" / "run")
    assert reports.build([tmp_path / "downloaded"]) == tmp_path / "downloaded" / "run" / "report.html"


def test_reports_never_import_torch_and_load_their_libraries_late(write_run: WriteRun) -> None:
    program = (
        "import sys; from pathlib import Path; from grpo_job import reports\n"
        "assert not {'matplotlib', 'jinja2', 'numpy'} & set(sys.modules)\n"
        "reports.build([Path(sys.argv[1])]); reports.write_card(Path(sys.argv[1]))\n"
        "assert not {'torch', 'transformers', 'datasets', 'scipy', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(write_run(steps=0, rows=5))], check=True)
