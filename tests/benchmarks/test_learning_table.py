"""Tables of the learning benchmark, from run folders as the job writes them."""

import doctest
from pathlib import Path

from benchmarks.learning import runs, table
from grpo_job.run_folder.files import write_json, write_jsonl


def a_run(out: Path, seed: int, after: float | None, gpu: int | None = 0) -> None:
    folder = out / f"fast-sums2-{seed}"
    run = runs.Run(name="fast", seed=seed)
    write_json(folder / "run.json", {**run.model_dump(), "exit": 0 if after else 4, "wall": 120.0, "gpu": gpu})
    write_json(
        folder / "summary.json",
        {"steps": {"done": 10}, "accuracy": {"before": 0.1}, "ending": {"code": 4, "reason": "no | signal"}},
    )
    write_json(folder / "settings.json", {"settings": {"per_device_train_batch_size": 64}})
    if after:
        share = {"before": 0.1, "after": after, "before_interval": [0.05, 0.15], "after_interval": [0.5, 0.9]}
        write_json(
            folder / "evaluation" / "evaluation.json",
            {"verdict": "improved", "correct_lenient": share, "correct": share},
        )
        write_jsonl(folder / "evaluation" / "after.jsonl", [{"answer": "1"}, {"answer": "2"}, {"answer": "1"}])


def test_a_line_says_what_was_reached_and_what_it_took(tmp_path: Path) -> None:
    a_run(tmp_path, 1, 0.7)
    (found,) = table.read_all(tmp_path)
    assert table.line(found)[4:] == [
        "10.0% [5.0, 15.0]", "70.0% [50.0, 90.0]", "10.0% [5.0, 15.0]", "70.0% [50.0, 90.0]", "2", "640", "10",
        "2.0", "120 s", "0", "improved",
    ]  # fmt: skip


def test_a_run_that_was_stopped_gained_nothing_and_says_why(tmp_path: Path) -> None:
    a_run(tmp_path, 1, None)
    (found,) = table.read_all(tmp_path)
    assert table.line(found)[-2:] == ["4", "no / signal"]
    assert table.by_name([found])[0][4:7] == ["10.0%", "10.0%", "10.0% (seed 1)"]


def test_seeds_are_one_line_with_the_worst_named_and_points_for_a_gpu_minute(tmp_path: Path) -> None:
    for seed, after in ((1, 0.7), (2, 0.9), (3, 0.8)):
        a_run(tmp_path, seed, after)
    (line,) = table.by_name(table.read_all(tmp_path))
    assert line == [
        "fast", "sums2", "choose", "3", "10.0%", "80.0% [55.2, 104.8]", "70.0% (seed 1)", "80.0% [55.2, 104.8]",
        "2.0", "35.0 [22.6, 47.4]", "none",
    ]  # fmt: skip


def test_on_a_cpu_no_gpu_minutes_are_told(tmp_path: Path) -> None:
    a_run(tmp_path, 1, 0.7, gpu=None)
    assert table.by_name(table.read_all(tmp_path))[0][-3:] == ["", "", "none"]


def test_the_examples_hold() -> None:
    assert doctest.testmod(table).failed == doctest.testmod(runs).failed == 0
