"""`grpo-job init`: a commented file of settings for a task of one's own: model, rows, rewards, destination."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import config_file, table
from grpo_job.settings.reader import Resolved
from grpo_job.settings.schema import Settings, variable

GROUPS: dict[str, tuple[str, ...]] = {
    "The model": ("recipe", "model", "model_revision"),
    "The rows": ("dataset", "dataset_split", "prompt_column", "answer_column", "system_prompt", "eval_rows"),
    "The rewards": ("rewards",),
    "The length of training": ("max_steps", "max_completion_length"),
    "The destination; without one the result stays in GRPO_OUTPUT_DIR": ("publish_to", "checkpoint_to"),
    "Limits": ("max_hours", "price_per_hour", "max_cost"),
}
EXAMPLES = {
    "publish_to": "hf://your-name/your-model", "checkpoint_to": "s3://your-bucket/checkpoints", "max_hours": "6",
    "price_per_hour": "2.5", "max_cost": "20", "model_revision": "main",
}  # fmt: skip
PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*")
NUMBER = re.compile(r"[1-9]\d*|0|\d+\.\d+")


def write(path: Path, resolved: Resolved) -> list[str]:
    """Write the file, never over another one; returns what to do next. Raises `InvalidRun`."""
    line = LINES.get(path.suffix.lower())
    if line is None:
        raise InvalidRun(f"{path}: no such kind of file is known; allowed: a name with {', '.join(LINES)}")
    if path.exists():
        raise InvalidRun(f"{path}: the file is there already and is kept; allowed: another name")
    whole = text(resolved, line, path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(whole, encoding="utf-8")
    except OSError as error:
        raise InvalidRun(f"{path}: the file cannot be written: {error.strerror}; allowed: another folder") from error
    named = f"GRPO_CONFIG={shlex.quote(str(path))}"
    return [f"{path} is written. Next:", f"  {named} grpo-job check", f"  {named} grpo-job run"]


def text(resolved: Resolved, line: Callable[[str, str], str], file: str) -> str:
    """The whole file. Settings that were given are set, the others stand as comments with their defaults."""
    parts = [f"# Settings of a run, used by GRPO_CONFIG={file}. Tokens are variables of their own and never here."]
    given = {name: origin for name, origin in resolved.origins.items() if origin in ("command line", "environment")}
    further = tuple(name for name in given if name not in {n for names in GROUPS.values() for n in names})
    for title, names in {**GROUPS, "Further settings": further}.items():
        if names := tuple(name for name in names if name != config_file.NAME):
            parts += ["", f"# {title}", *(part for name in names for part in _entry(name, resolved, given, line))]
    return "\n".join([*parts, ""])


def _entry(name: str, resolved: Resolved, given: Mapping[str, str], line: Callable[[str, str], str]) -> list[str]:
    value = table.value_of(resolved, name)
    shown = value if isinstance(value, str) else table.as_text(value)
    if name in given:
        return [*_comment(name), line(name, shown)]
    return [*_comment(name), "#" + line(name, EXAMPLES.get(name, shown).strip().partition("\n")[0])]


def _comment(name: str) -> list[str]:
    info = Settings.model_fields.get(name)
    return [f"# {info.description}"] if info else []


def _env(name: str, text: str) -> str:
    if "\n" in text:
        raise InvalidRun(
            f"{variable(name)}: an env file takes one line, and this value has more; allowed: a .yaml file"
        )
    return f"{variable(name)}={text}"


def _yaml(name: str, text: str) -> str:
    return f"{name}: {text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)}"


def _toml(name: str, text: str) -> str:
    return f"{name} = {text if NUMBER.fullmatch(text) else json.dumps(text, ensure_ascii=False)}"


LINES: dict[str, Callable[[str, str], str]] = {".env": _env, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
