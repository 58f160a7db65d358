"""Generates the tables of README and docs from the code: `python -m tools.readme_tables` updates them in place."""

import ast
import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from grpo_job.outcomes import EXIT_CODES
from grpo_job.rewards import MENU
from grpo_job.settings import trl_options
from grpo_job.settings.fields import Fields
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings, variable
from grpo_job.settings.table import as_text
from grpo_job.settings.training_fields import TrainingFields
from tools import gpu_table, notebook_table

README = Path(__file__).resolve().parents[1] / "README.md"
REWARDS_PAGE = README.parent / "docs/rewards.md"
SETTINGS_PAGE = README.parent / "docs/settings.md"
OPTIONS_PAGE = README.parent / "docs/options.md"
ARCHITECTURE_PAGE = README.parent / "docs/architecture.md"
HEALTH_PAGE = README.parent / "benchmarks/HEALTH.md"
GPU_PAGE = README.parent / "docs/which-gpu.md"
NOTEBOOK_PAGE = README.parent / "docs/from-a-notebook.md"
PACKAGE = README.parent / "grpo_job"
HISTORIES = README.parent / "tests/monitoring/histories"
FIRST = (  # of the settings, those that a task of one's own needs or wants
    "model", "dataset", "prompt_column", "answer_column", "system_prompt", "rewards", "max_steps",
    "max_completion_length", "publish_to", "max_hours",
)  # fmt: skip
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


def first_settings() -> str:
    return settings_table(FIRST)


def settings() -> str:
    """A table per group, in the groups of `fields.py`."""
    return "\n\n".join(f"### {title}\n\n{settings_table(names)}" for title, names in groups().items())


def groups() -> dict[str, list[str]]:
    """Title -> names: what a comment of the classes says before the fields that follow it, up to a semicolon."""
    found: dict[str, list[str]] = {}
    source = inspect.getsource(TrainingFields) + inspect.getsource(Fields)
    for title, name in re.findall(r"^    (?:# (.+)|(\w+):)", source, flags=re.MULTILINE):
        if title:
            found[title.partition(";")[0].capitalize().replace("grpoconfig", "GRPOConfig")] = []
        elif name != "grpo_config":
            found[list(found)[-1]].append(name)
    return found


def settings_table(names: Iterable[str]) -> str:
    default = resolve({}).settings
    rows = [
        (
            f"`{variable(name)}`",
            f"`{' '.join(as_text(getattr(default, name)).split())}`",
            Settings.model_fields[name].description or "",
        )
        for name in names
    ]
    return table("variable | default | meaning", rows)


def accepted_options() -> str:
    """The accepted options of GRPOConfig, and those that a CPU treats otherwise than a GPU."""
    accepted = sorted(set(trl_options.options()) - set(trl_options.OWNED))
    rows = [(f"`{name}`", note) for name in accepted if (note := on_cpu(name))]
    return f"{', '.join(f'`{name}`' for name in accepted)}.\n\n{table('option | on a CPU', rows)}"


def on_cpu(name: str) -> str:
    if name in trl_options.VLLM_ONLY:
        return "refused: vLLM only"
    if name in PLANNED:
        return "no effect: there is no plan"
    return "`min_tokens` only" if name == "generation_kwargs" else ""


def refused_options() -> str:
    """One row for all options with the same reason."""
    reasons = dict.fromkeys(trl_options.OWNED.values())
    named = {why: [f"`{name}`" for name, reason in trl_options.OWNED.items() if reason == why] for why in reasons}
    return table("option | instead", [(", ".join(names), why) for why, names in named.items()])


def notebook() -> str:
    return table("in the notebook | argument | here | recipe `tutorial`", notebook_table.rows())


def models_on_gpus() -> str:
    return table(gpu_table.header(), gpu_table.rows())


def modules() -> str:
    """Every file of the package with the first sentence of its docstring."""
    files = sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent != PACKAGE, path.parent, path.name))
    return table("file | what it is for", [(f"`{path.relative_to(PACKAGE)}`", purpose(path)) for path in files])


def purpose(path: Path) -> str:
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def histories(folder: Path = HISTORIES) -> str:
    """Real runs whose outcome is known, and what health says of each and when."""
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    rows = [
        (name, str(run["metrics"]["step"][-1]), run["learned"], "; ".join(f"{k} {v}" for k, v in run["found"].items()))
        for name, run in runs.items()
    ]
    return table("run | steps | right answers, before and after | health, at step", rows)


PAGES = {
    README: {"exit codes": exit_codes},
    REWARDS_PAGE: {"rewards": rewards},
    SETTINGS_PAGE: {"first settings": first_settings, "settings": settings},
    OPTIONS_PAGE: {"options": accepted_options, "refused options": refused_options},
    ARCHITECTURE_PAGE: {"modules": modules},
    HEALTH_PAGE: {"histories": histories, "histories held out": lambda: histories(HISTORIES / "held_out")},
    GPU_PAGE: {"models on GPUs": models_on_gpus},
    NOTEBOOK_PAGE: {"notebook": notebook},
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
