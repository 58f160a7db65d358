"""Builds `report.html`, plots as PNG, and the adapter's model card from a run folder.

Reads only the run folder, so a report can be rebuilt anywhere, also of a run that stopped early. matplotlib and Jinja2
are imported late.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from grpo_job.outcomes import InvalidRun, in_one_line


def build(run_folders: Sequence[Path]) -> Path:
    """Write the report, and return its path. Raises `InvalidRun` for a folder that leads elsewhere.

    For one run: `report.html` and `plots/` in its folder. For several: `comparison.html` next to the first one.
    """
    from grpo_job.reports import html
    from grpo_job.run_folder.paths import require_plain

    for folder in run_folders:
        require_plain(folder)
    return html.write_report(run_folders[0]) if len(run_folders) == 1 else html.write_comparison(run_folders)


def rebuild(run_folders: Sequence[Path]) -> Path:
    """As `build`, for folders that others may have changed. Raises `InvalidRun` if one does not hold what it needs."""
    try:
        return build(run_folders)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        folders = ", ".join(map(str, run_folders))
        why = f"{type(error).__name__}: {in_one_line(error)}"
        raise InvalidRun(
            f"{folders}: a file does not hold what a report needs ({why}): restore the run folder"
        ) from error


def write_card(run_folder: Path, *, licence: Mapping[str, str] | None = None) -> Path:
    """Write `adapter/README.md`, the model card, and return its path.

    `licence` is from the base model's card: `license`, and if that is "other", `license_name` and `license_link`.
    """
    from grpo_job.reports import card

    return card.write(run_folder, licence or {})


def note_in_card(path: Path, sentence: str) -> None:
    """Write in a card what `grpo-job verify` found, and leave the rest, which somebody may have edited."""
    from grpo_job.reports import card

    card.note(path, sentence)
