"""Builds `report.html`, plots as PNG, and the adapter's model card from a run folder.

Reads only the run folder, so a report can be rebuilt anywhere, also of a run that stopped early. matplotlib and Jinja2
are imported late.
"""

from collections.abc import Sequence
from pathlib import Path

from grpo_job.outcomes import InvalidRun, in_one_line
from grpo_job.reports import html
from grpo_job.reports.card import note as note_in_card
from grpo_job.reports.card import write as write_card
from grpo_job.reports.run_data import read
from grpo_job.run_folder.files import sha256, write_json
from grpo_job.run_folder.paths import require_plain

__all__ = ["build", "build_live", "note_in_card", "rebuild", "write_card"]


def build(run_folders: Sequence[Path], output: Path | None = None) -> Path:
    """Write the report, and return its path. Raises `InvalidRun` for a folder that leads elsewhere.

    For one run: `report.html` and `plots/` in its folder. For several: `comparison.html` next to the first one.
    With `output` only the page, to that file.
    """
    for folder in run_folders:
        require_plain(folder)
    if len(run_folders) == 1:
        return html.write_report(run_folders[0], output)
    return html.write_comparison(run_folders, output)


def build_live(run_folder: Path) -> Path:
    """`report.html` of a run that goes on, without plots; not written if the folder vanished meanwhile."""
    require_plain(run_folder)
    return html.write_live(run_folder)


def rebuild(run_folders: Sequence[Path], output: Path | None = None) -> Path:
    """As `build`, for folders that others may have changed.

    Raises `InvalidRun` if one is no run's, does not hold what it needs, or the page cannot be written; nothing is
    written into a published tree.
    """
    for folder in run_folders:
        _require_run(folder)
    if output is None and len(run_folders) == 1:
        _refuse_published(run_folders[0])
    try:
        written = build(run_folders, output)
        if output is None and len(run_folders) == 1:
            _remember(run_folders[0])
        return written
    except OSError as error:
        raise InvalidRun(
            f"the report cannot be written: {in_one_line(error)}; allowed: --output FILE in another folder"
        ) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        folders = ", ".join(map(str, run_folders))
        why = f"{type(error).__name__}: {in_one_line(error)}"
        raise InvalidRun(
            f"{folders}: a file does not hold what a report needs ({why}): restore the run folder"
        ) from error


def _require_run(path: Path) -> None:
    """A page with nothing in it, written into an adapter's folder, would be published with it."""
    folder = read(path).folder
    if not any(file.is_file() for file in (folder.settings, folder.summary, folder.metrics)):
        raise InvalidRun(f"{path}: there is no settings.json; allowed: a run folder, or a published tree")


def _refuse_published(path: Path) -> None:
    """The manifest of a published tree has the digest of its report: another one would be damage to who verifies it."""
    run = read(path).folder.path.resolve()
    if run.name == "run" and (run.parent / "manifest.json").is_file():
        raise InvalidRun(
            f"{path}: it is a published tree, whose manifest has the digest of {run / 'report.html'}; allowed: "
            "--output FILE"
        )


def _remember(run_folder: Path) -> None:
    """Keep the digests of what was written anew, or `grpo-job publish` would take it for damage; not while it runs."""
    run = read(run_folder)
    known, ended = run.summary.get("records") or {}, run.summary.get("ending") or {}
    written = {
        str(file.relative_to(run.folder.path)): file for file in (run.folder.report, *run.folder.plots.glob("*.png"))
    }
    if ended.get("code") is not None and known.keys() & written.keys():
        digests = {name: sha256(file) for name, file in written.items() if name in known}
        write_json(run.folder.summary, {**run.summary, "records": {**known, **digests}})
