"""What is drawn is what the run folder holds."""

import os
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from grpo_job.reports import panels, plots, themes
from grpo_job.reports.panels import Bars, Line, Panel, Series
from grpo_job.reports.run_data import read
from grpo_job.run_folder.files import read_json, read_jsonl


def test_lines_hold_the_metrics(finished: Path) -> None:
    metrics = read_jsonl(finished / "metrics.jsonl")
    keys = {
        "length": "completions/mean_length", "clipped": "completions/clipped_ratio", "groups": "frac_reward_zero_std",
        "entropy": "entropy", "loss": "loss", "gradient": "grad_norm", "learning-rate": "learning_rate",
    }  # fmt: skip
    drawn = {panel.name: panel for panel in panels.training([read(finished)])}
    for name, key in keys.items():
        assert drawn[name].lines[0].values == [row[key] for row in metrics]
        assert drawn[name].lines[0].steps == [row["step"] for row in metrics]
    for name in ("correct", "format_tags"):
        (line,) = drawn[f"reward-{name}"].lines
        assert line.values == [row[f"rewards/{name}/mean"] for row in metrics]
        assert line.spread == [row[f"rewards/{name}/std"] for row in metrics]
    reward = panels.reward([read(finished)])
    assert reward
    assert reward.lines[0].spread == [row["reward_std"] for row in metrics]


def test_time_by_phase_and_part_are_the_run_folders(finished: Path) -> None:
    run, seconds = read(finished), read_json(finished / "summary.json")["seconds"]
    phases, parts = panels.phases([run]), panels.parts([run])
    assert phases
    assert parts
    spent = dict(zip(phases.labels, phases.series[0].values, strict=True))
    assert spent == {name: value for name, value in seconds.items() if name in panels.PHASES and value}
    steps = read_jsonl(finished / "metrics.jsonl")
    assert sum(parts.series[0].values) == pytest.approx(np.mean([row["step_time"] for row in steps]))
    assert parts.series[0].values[0] == pytest.approx(np.mean([row["time/generation"] for row in steps]))


def test_accuracy_is_drawn_with_its_intervals(finished: Path) -> None:
    shares, judged = panels.accuracy(read(finished)), read_json(finished / "evaluation" / "evaluation.json")
    assert shares
    assert shares.rows[0][2] == (judged["correct"]["after"], *judged["correct"]["after_interval"])
    axes = plots.draw(shares, size=(4, 3), titled=False).axes[0]
    low, high = axes.lines[2].get_xdata()
    assert (low, high) == tuple(judged["correct"]["after_interval"])
    assert list(axes.lines[3].get_xdata()) == [judged["correct"]["after"]]


def test_axes_show_every_value_and_the_running_mean() -> None:
    values = np.random.default_rng(0).normal(size=60).tolist()
    panel = Panel("loss", "Loss", "", [Line("run", list(range(1, 61)), values)])
    raw, mean = plots.draw(panel, size=(4, 3), titled=False).axes[0].lines
    assert list(raw.get_ydata()) == values
    assert mean.get_ydata() == pytest.approx([np.mean(values[max(0, end - 4) : end]) for end in range(1, 61)])


def test_the_only_step_of_a_series_is_the_only_step_of_its_axis() -> None:
    axes = plots.draw(Panel("measure", "Measure", "", [Line("run", [10], [1.0])]), size=(4, 3), titled=False).axes[0]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [10]


def test_running_mean_passes_over_what_is_not_a_number() -> None:
    assert plots.running_mean([1.0, float("nan"), 3.0], 2).tolist() == [1.0, 1.0, 3.0]


def test_long_series_are_drawn_as_means_of_equal_parts() -> None:
    steps, values = list(range(1, 1201)), [float(step) for step in range(1200)]
    line = panels._thinned(Line("run", steps, values, values))
    assert len(line.steps) == 400
    assert len(panels._thinned(line, lines=16).steps) == 100
    assert line.steps[-1] == 1200
    assert line.values[0] == 1.0
    assert np.mean(line.values) == pytest.approx(np.mean(values))


@pytest.mark.parametrize("name", ["before", "after", "muted", "grid"])
def test_svg_takes_its_colours_from_the_page(finished: Path, name: str) -> None:
    shares = panels.accuracy(read(finished))
    assert shares
    svg = plots.svg(shares)
    assert f"var(--{name})" in svg
    assert not re.search(r"#[0-9a-fA-F]{6}\b", svg)
    assert svg.startswith("<svg")
    assert ">Answer correct</" in svg  # text, not outlines


def test_themes_name_the_same_colours_each_once() -> None:
    assert themes.LIGHT.keys() == themes.DARK.keys()
    assert len(set(themes.LIGHT.values())) == len(themes.LIGHT)


@pytest.mark.parametrize("theme", [themes.LIGHT, themes.DARK])
def test_text_has_enough_contrast_in_either_theme(theme: dict[str, str]) -> None:
    """At least 4.5 to 1, WCAG 2.2, success criterion 1.4.3."""
    for name in ("ink", "muted", "before", "after", "good", "bad", "warn"):
        assert contrast(theme[name], theme["paper"]) >= 4.5, name


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_many_runs_and_rewards_have_colours_enough() -> None:
    bars = Bars("phases", "Time", "", ["train"], [Series(f"run {n}", [1.0], n) for n in range(20)])
    assert len(plots.draw(bars, size=(4, 3), titled=True).axes[0].patches) == 20


def test_a_lock_of_the_fonts_that_a_killed_process_left_is_dropped_and_a_new_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, held = (tmp_path / f"fontlist-v{number}.json.matplotlib-lock" for number in (1, 2))
    for lock in (left, held):
        lock.touch()
    os.utime(left, (0, 0))
    monkeypatch.setattr(matplotlib, "get_cachedir", lambda: str(tmp_path))
    plots.drop_abandoned_locks.__wrapped__()
    assert (left.exists(), held.exists()) == (False, True)
