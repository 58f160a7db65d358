"""Generates the tables of README and docs from the code: `python -m tools.readme_tables` updates them in place."""

import ast
import json
from collections.abc import Sequence
from pathlib import Path

from grpo_job.outcomes import EXIT_CODES
from grpo_job.rewards import MENU
from grpo_job.settings import trl_options
from grpo_job.settings.engines import ENGINES
from grpo_job.settings.schema import Settings, variable
from grpo_job.settings.table import as_text

README = Path(__file__).resolve().parents[1] / "README.md"
REWARDS_PAGE = README.parent / "docs/rewards.md"
SETTINGS_PAGE = README.parent / "docs/settings.md"
OPTIONS_PAGE = README.parent / "docs/options.md"
ARCHITECTURE_PAGE = README.parent / "docs/architecture.md"
CHECKS_PAGE = README.parent / "docs/checks-and-limits.md"
PACKAGE = README.parent / "grpo_job"
HISTORIES = README.parent / "tests/monitoring/histories"
PLANNED = ("gradient_checkpointing", "vllm_gpu_memory_utilization")  # what the memory plan of a GPU decides


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


def options_by_engine() -> str:
    """Every accepted option of GRPOConfig, and whether each engine honours it."""
    kinds = [(name, bool(gpus)) for name, facts in ENGINES.items() for gpus in (1, 0) if facts.runs(gpus)]
    rows = [
        (f"`{name}`", *(honours(name, on_gpu=on_gpu) for _, on_gpu in kinds))
        for name in sorted(set(trl_options.options()) - set(trl_options.OWNED))
    ]
    return table(" | ".join(["option", *(f"{name}, {'GPU' if gpu else 'CPU'}" for name, gpu in kinds)]), rows)


def honours(name: str, *, on_gpu: bool) -> str:
    if on_gpu:
        return "yes"
    if name in trl_options.VLLM_ONLY:
        return "refused: vLLM only"
    if name in PLANNED:
        return "no effect: there is no plan"
    return "`min_tokens` only" if name == "generation_kwargs" else "yes"


def refused_options() -> str:
    return table("option | instead", [(f"`{name}`", instead) for name, instead in trl_options.OWNED.items()])


def modules() -> str:
    """Every file of the package with the first sentence of its docstring."""
    files = sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent != PACKAGE, path.parent, path.name))
    return table("file | what it is for", [(f"`{path.relative_to(PACKAGE)}`", purpose(path)) for path in files])


def purpose(path: Path) -> str:
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def histories() -> str:
    """Real runs whose outcome is known, and what health says of each and when."""
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(HISTORIES.glob("*.json"))}
    rows = [
        (name, str(run["metrics"]["step"][-1]), run["learned"], "; ".join(f"{k} {v}" for k, v in run["found"].items()))
        for name, run in runs.items()
    ]
    return table("run | steps | right answers, before and after | health, at step", rows)


PAGES = {
    README: {"exit codes": exit_codes},
    REWARDS_PAGE: {"rewards": rewards},
    SETTINGS_PAGE: {"settings": settings},
    OPTIONS_PAGE: {"options": options_by_engine, "refused options": refused_options},
    ARCHITECTURE_PAGE: {"modules": modules},
    CHECKS_PAGE: {"histories": histories},
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
