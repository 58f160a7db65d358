"""What a run folder says, for people: `report.html`, plots as PNG, and the adapter's model card.

Input is the run folder's files and nothing else, so a report can be made again at any time and anywhere. A run
that stopped early has one too. matplotlib and Jinja2 are imported when a page is made, not before.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path


def build(run_folders: Sequence[Path]) -> Path:
    """Write the report, and return its path.

    Of one run: `report.html` and `plots/` inside its folder. Of several: `comparison.html` beside the first one,
    with the runs side by side.
    """
    from grpo_job.reports import html

    return html.write_report(run_folders[0]) if len(run_folders) == 1 else html.write_comparison(run_folders)


def write_card(run_folder: Path, *, licence: Mapping[str, str] | None = None) -> Path:
    """Write `adapter/README.md`, the model card, and return its path.

    `licence` is what the base model's own card says: `license`, and where that is "other", `license_name` and
    `license_link`.
    """
    from grpo_job.reports import card

    return card.write(run_folder, licence or {})
