"""Renders the report of one run and the comparison of several. Each is one file without scripts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpo_job.reports import comparison, content, formatting, paired, panels, plots, questions, themes
from grpo_job.reports.run_data import RunData, read
from grpo_job.run_folder.files import write_text

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent


def write_report(folder: Path, output: Path | None = None) -> Path:
    """`report.html` and `plots/*.png` of one run; or, without plots, only the page as `output`."""
    run = read(folder)
    if output is None:
        for item in _drawn(run):
            plots.png(item, run.folder.plots)
    page, path = report(run), output or run.folder.report
    write_text(path, page)
    return path


def write_live(folder: Path) -> Path:
    """`report.html` of a run that goes on; not if its folder was removed meanwhile, which would make it again."""
    run = read(folder)
    page = report(run)
    if run.folder.summary.is_file():
        write_text(run.folder.report, page)
    return run.folder.report


def write_comparison(folders: Sequence[Path], output: Path | None = None) -> Path:
    """`comparison.html` next to the first run's folder, or `output`."""
    path = output or folders[0].resolve().parent / "comparison.html"
    write_text(path, side_by_side(named([read(folder) for folder in folders])))
    return path


def named(runs: Sequence[RunData]) -> list[RunData]:
    """The runs with names that tell them apart: of equal ones, the folder above is added, or a number."""
    names = [run.name for run in runs]
    longer = [f"{run.folder.path.resolve().parent.name}/{run.name}" if names.count(run.name) > 1 else run.name
              for run in runs]  # fmt: skip
    labels = [f"{name} ({longer[: at + 1].count(name)})" if longer.count(name) > 1 else name
              for at, name in enumerate(longer)]  # fmt: skip
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def report(run: RunData) -> str:
    return _render(
        "report.html",
        title=run.name,
        run=run,
        headline=content.headline(run),
        accuracy=panels.accuracy(run),
        **_panels([run]),
    )


def side_by_side(runs: Sequence[RunData]) -> str:
    return _render(
        "comparison.html",
        title=f"{len(runs)} runs side by side",
        runs=runs,
        tests=paired.tests(runs),
        warnings=paired.warnings(runs),
        accuracy=panels.accuracies(runs),
        **_panels(runs),
    )


def _panels(runs: Sequence[RunData]) -> dict[str, Any]:
    return {
        "reward": panels.reward(runs),
        "training": panels.training(runs),
        "speed": panels.speed(runs),
        "bars": [bars for bars in (panels.phases(runs), panels.parts(runs)) if bars],
    }


def figure(run: RunData, source: str, key: str, form: str) -> Any:
    """A number of the run folder as a `<data>` element: text, exact value, and its file and key."""
    from markupsafe import Markup

    value = run.value(source, key)
    if value is None:
        return Markup('<span class="none">{}</span>').format(formatting.NOTHING)
    return Markup('<data value="{}" data-run="{}" data-form="{}" title="{}: {}">{}</data>').format(
        json.dumps(value), run.name, form, source, key, formatting.FORMS[form](value)
    )


def _drawn(run: RunData) -> list[plots.Drawn]:
    of_run = _panels([run])
    every = (panels.accuracy(run), of_run["reward"], *of_run["training"], *of_run["speed"], *of_run["bars"])
    return [item for item in every if item is not None]


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> "jinja2.Environment":
    """The templates, each compiled once: a page is written again and again while a run goes on."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {
        "figure": figure,
        "content": content,
        "questions": questions,
        "side_by_side": comparison,
        "themes": themes,
        "svg": lambda item, wide=False: Markup(plots.svg(item, wide=wide)),
        "style": Markup((HERE / "style.css").read_text(encoding="utf-8")),
    }
    environment.filters |= {**formatting.FORMS, "clean": formatting.clean}
    environment.filters["form"] = lambda value, form: formatting.FORMS[form](value)
    return environment
