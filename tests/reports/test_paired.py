"""Runs against each other on the rows that they share, and what is said where they are not alike."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from grpo_job import reports
from grpo_job.evaluation import statistics
from grpo_job.reports import html, paired, panels
from grpo_job.reports.run_data import RunData, read
from grpo_job.run_folder.files import read_json, read_jsonl, write_json, write_jsonl
from tests.reports.conftest import WriteRun


def changed(folder: Path, name: str, *path: str, to: Any) -> None:
    """Set a value in a JSON file of the run folder."""
    found = read_json(folder / name)
    at = found
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = to
    write_json(folder / name, found)


def measured(folder: Path, reward: str, paid: list[float | None]) -> None:
    """Judge a run by a reward that paid this for the adapter's answers."""
    measure = {"name": f"reward {reward}", "share": False, "weights": [[reward, 1.0]]}
    changed(folder, "evaluation/evaluation.json", "measure", to=measure)
    after = folder / "evaluation/after.jsonl"
    records = zip(read_jsonl(after), paid, strict=True)
    write_jsonl(after, [{**record, "rewards": {reward: score}} for record, score in records])


@pytest.fixture
def two(write_run: WriteRun) -> tuple[Path, Path]:
    first = write_run("a", seed=1, steps=4, rows=120, accuracy=(0.36, 0.83))
    return first, write_run("b", seed=1, steps=4, rows=120, accuracy=(0.36, 0.60))


def both(folders: tuple[Path, ...]) -> list[RunData]:
    return [read(folder) for folder in folders]


def test_a_question_that_is_asked_twice_keeps_its_two_answers(two: tuple[Path, ...]) -> None:
    for when, said in (("before", ("no", "maybe")), ("after", ("yes", "no"))):
        path = two[0] / f"evaluation/{when}.jsonl"
        first = {**read_jsonl(path)[0], "question": "Is it true?", "gold": "yes"}
        write_jsonl(path, [{**first, "completion": text} for text in said])
    assert [(old["completion"], new["completion"]) for old, new in read(two[0]).pairs] == [
        ("no", "yes"),
        ("maybe", "no"),
    ]


def test_doctests() -> None:
    assert doctest.testmod(paired).failed == doctest.testmod(panels).failed == 0


def test_the_test_is_on_the_adapters_answers_row_by_row(two: tuple[Path, Path]) -> None:
    (test,) = paired.tests(both(two))
    sides = [
        [float(record["correct_lenient"]) for record in read_jsonl(path / "evaluation/after.jsonl")] for path in two
    ]
    assert test.found == statistics.compare(*sides)
    assert test.verdict == "worse"
    assert paired.warnings(both(two)) == []


def test_the_same_answers_are_no_evidence_of_a_difference(write_run: WriteRun) -> None:
    runs = both((write_run("a", seed=1, steps=4, rows=120), write_run("b", seed=1, steps=4, rows=120)))
    (test,) = paired.tests(runs)
    assert (test.found["difference"], test.found["p_value"]) == (0.0, 1.0)
    assert test.verdict == "no evidence of a difference"


def constant(folder: Path, reward: str | None) -> None:
    """Let the adapter give one answer to every question: the commonest gold, or a text that the reward likes."""
    after = folder / "evaluation/after.jsonl"
    records = read_jsonl(after)
    golds = [record["gold"] for record in records]
    answer = "ok" if reward else max(golds, key=golds.count)
    right = [{"correct": gold == answer, "correct_lenient": gold == answer} for gold in golds]
    write_jsonl(
        after,
        [
            {**record, **graded, "completion": answer, "answer": answer}
            for record, graded in zip(records, right, strict=True)
        ],
    )


@pytest.mark.parametrize(("reward", "order"), [(None, 1), (None, -1), ("brief", 1), ("brief", -1)])
def test_a_run_that_gives_every_question_one_answer_is_better_than_no_other(
    two: tuple[Path, Path], reward: str | None, order: int
) -> None:
    honest, cheat = two
    for folder in two:
        after = folder / "evaluation/after.jsonl"
        records = [{**row, "gold": "7" if n < 70 else row["gold"]} for n, row in enumerate(read_jsonl(after))]
        write_jsonl(after, [{**record, "correct_lenient": n % 4 == 3} for n, record in enumerate(records)])
    constant(cheat, reward)
    if reward:
        measured(honest, reward, [0.2] * 120)
        measured(cheat, reward, [0.9] * 120)
    (test,) = paired.tests(both(two[::order]))
    assert test.found["p_value"] < 0.001
    assert test.verdict == "no evidence of a difference"


def test_few_shared_rows_are_not_judged(write_run: WriteRun) -> None:
    runs = both((write_run("a", seed=1, steps=4, rows=20), write_run("b", seed=1, steps=4, rows=20)))
    assert paired.tests(runs)[0].verdict == "not judged"


def test_only_shared_rows_count_whatever_their_order_and_that_is_said(two: tuple[Path, Path]) -> None:
    after = two[1] / "evaluation/after.jsonl"
    write_jsonl(after, reversed(read_jsonl(after)[20:]))
    (test,) = paired.tests(both(two))
    assert test.found["rows"] == 100
    assert paired.warnings(both(two)) == ["a and b share 100 of 120 and 100 held-out rows: the test is on these alone"]


@pytest.mark.parametrize(("ungraded", "left"), [(40, 80), (120, None)])
def test_answers_that_nobody_graded_decide_no_test_and_are_told(
    two: tuple[Path, Path], ungraded: int, left: int | None
) -> None:
    measured(two[0], "judge", [None] * ungraded + [0.7] * (120 - ungraded))
    measured(two[1], "judge", [0.7] * 120)
    tests = [(test.found["rows"], test.verdict) for test in paired.tests(both(two))]
    assert tests == ([(left, "no evidence of a difference")] if left else [])
    told = f"a and b: {ungraded} of the shared rows were not graded in both: the test leaves these out"
    assert told in paired.warnings(both(two))


def test_a_question_that_occurs_twice_is_two_rows(two: tuple[Path, Path]) -> None:
    for folder in two:
        after = folder / "evaluation/after.jsonl"
        write_jsonl(after, [*read_jsonl(after), read_jsonl(after)[0]])
    assert paired.tests(both(two))[0].found["rows"] == 121


def test_rows_that_nobody_shares_are_not_tested(two: tuple[Path, Path]) -> None:
    after = two[1] / "evaluation/after.jsonl"
    write_jsonl(after, [{**record, "gold": f"{record['gold']}0"} for record in read_jsonl(after)])
    assert paired.tests(both(two)) == []
    rows, golds = paired.warnings(both(two))
    assert rows == "a and b share 0 of 120 and 120 held-out rows: no test is made"
    assert golds.startswith("a and b: ")
    assert golds.endswith(" questions have other right answers")


@pytest.mark.parametrize(
    ("file", "path", "value", "said"),
    [
        ("settings.json", "settings.system_prompt", "Think.", "different prompts (system message and worked example)"),
        ("settings.json", "settings.chat_template", "plain", "different prompts (GRPO_CHAT_TEMPLATE)"),
        ("settings.json", "settings.max_completion_length", 9, "different prompts (GRPO_MAX_COMPLETION_LENGTH)"),
        ("summary.json", "example.text", "1 + 1", "different prompts (system message and worked example)"),
        ("environment.json", "versions.grpo-job", "0.0.1", "graded differently (version of grpo-job)"),
        ("evaluation/evaluation.json", "measure.name", "reward brief", "judged by different measures"),
    ],
)
def test_what_is_not_alike_is_said(two: tuple[Path, Path], file: str, path: str, value: Any, said: str) -> None:
    changed(two[1], file, *path.split("."), to=value)
    assert any(said in sentence for sentence in paired.warnings(both(two)))
    assert said in reports.build(two).read_text(encoding="utf-8")


def test_options_of_the_measured_reward_are_part_of_the_grader(two: tuple[Path, Path]) -> None:
    for folder, most in zip(two, (100, 200), strict=True):
        measured(folder, "brief", [0.5] * 120)
        changed(folder, "settings.json", "settings", "reward_options", to={"brief": {"longest": most}})
    assert any("GRPO_REWARD_OPTIONS" in sentence for sentence in paired.warnings(both(two)))


def test_measures_of_one_name_are_told_with_the_weights_that_differ(two: tuple[Path, Path]) -> None:
    for folder, weight in zip(two, (1.0, 3.0), strict=True):
        measured(folder, "brief", [0.5] * 120)
        changed(folder, "evaluation/evaluation.json", "measure", "weights", to=[["brief", weight]])
    assert (
        "a and b are judged by different measures (reward brief, brief:1; reward brief, brief:3), so no test is made"
        in paired.warnings(both(two))
    )


def test_a_run_without_answers_is_named(two: tuple[Path, Path]) -> None:
    (two[1] / "evaluation/after.jsonl").unlink()
    assert paired.warnings(both(two)) == ["b: no answers after training, so nothing is compared"]
    assert paired.tests(both(two)) == []


def test_the_page_goes_where_it_is_asked_for_and_has_test_names_and_line_styles(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    twin = tmp_path / "other" / "a"
    twin.parent.mkdir()
    two[1].rename(twin)
    changed(twin, "summary.json", "run_id", to="a")
    path = reports.build((two[0], twin), tmp_path / "pages" / "x.html")
    page = path.read_text(encoding="utf-8")
    assert (path, (tmp_path / "comparison.html").exists()) == (tmp_path / "pages" / "x.html", False)
    assert ">worse</b>" in page
    assert f">{tmp_path.name}/a</th>" in page
    assert ">other/a</th>" in page
    assert '<i class="d1"' in page
    assert re.search(r"stroke-dasharray: [\d.]+", page)


def test_one_folder_given_twice_has_two_names(two: tuple[Path, Path]) -> None:
    names = [run.name for run in html.named(both((two[0], two[0])))]
    assert len(set(names)) == 2


def test_several_tests_are_corrected_for_their_number(write_run: WriteRun) -> None:
    accuracies = {"a": 0.5, "b": 0.6, "c": 0.62}
    written = (write_run(name, seed=1, steps=4, rows=120, accuracy=(0.36, each)) for name, each in accuracies.items())
    runs = [read(path) for path in written]
    alone = [paired.tests([runs[0], run])[0].found["p_value"] for run in runs[1:]]
    together = [test.found["p_value"] for test in paired.tests(runs)]
    assert together == paired.holm(alone)
    assert max(together) >= max(alone)
