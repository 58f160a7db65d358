"""Generates the tables of README and docs from the code: `python -m tools.readme_tables` updates them in place."""

import ast
from collections.abc import Sequence
from pathlib import Path

from grpo_job.outcomes import EXIT_CODES
from grpo_job.rewards import MENU
from grpo_job.settings.schema import Settings, variable
from grpo_job.settings.table import as_text

README = Path(__file__).resolve().parents[1] / "README.md"
SETTINGS_PAGE = README.parent / "docs/settings.md"
ARCHITECTURE_PAGE = README.parent / "docs/architecture.md"
PACKAGE = README.parent / "grpo_job"


def table(header: str, rows: Sequence[tuple[str, ...]]) -> str:
    columns = header.split("|")
    lines = [tuple(column.strip() for column in columns), tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def exit_codes() -> str:
    rows = [(str(row.code), row.meaning, row.cluster_should) for row in EXIT_CODES]
    return table("code | meaning | a cluster should", rows)


def rewards() -> str:
    rows = [(f"`{name}`", (function.__doc__ or "").strip().splitlines()[0]) for name, function in MENU.items()]
    return table("name | what it does", rows)


def settings() -> str:
    rows = [
        (f"`{variable(name)}`", f"`{as_text(field.default)}`", field.description or "")
        for name, field in Settings.model_fields.items()
        if name != "grpo_config"
    ]
    return table("variable | default | meaning", rows)


def modules() -> str:
    """Every file of the package with the first sentence of its docstring."""
    files = sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent != PACKAGE, path.parent, path.name))
    return table("file | what it is for", [(f"`{path.relative_to(PACKAGE)}`", purpose(path)) for path in files])


def purpose(path: Path) -> str:
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


PAGES = {
    README: {"exit codes": exit_codes, "rewards": rewards},
    SETTINGS_PAGE: {"settings": settings},
    ARCHITECTURE_PAGE: {"modules": modules},
}


def filled(page: Path) -> str:
    """The text of one of PAGES with regenerated tables."""
    text = page.read_text()
    for name, make in PAGES[page].items():
        before, _, rest = text.partition(f"<!-- {name} -->")
        text = f"{before}<!-- {name} -->\n{make()}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page))
