"""GRPO_CONFIG: settings from a YAML, TOML or env file, with the names of the variables, with or without GRPO_."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.outcomes import InvalidRun, in_one_line
from grpo_job.settings.plain_files import content_of
from grpo_job.settings.primitives import field

NAME = "config"
ALLOWED = "a file .yaml, .yml, .toml or .env with one setting per line, such as max_steps: 250"
MOST_BYTES = 200_000  # YAML of a megabyte is read for half a minute
MOST_ENTRIES = 1000  # of unknown names each is compared with all known ones
DEEPEST = 100  # levels of YAML: its reader needs the square of their number
BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
NESTED = re.compile(rf"(?m)^\s*(?:[-?:]\s+){{{DEEPEST}}}")


class Entry(NamedTuple):
    """One setting of the file: its name as written, its text as one would write it in the variable, and its place."""

    name: str
    text: str
    place: str


def given(path: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Field, origin ("file job.yaml, line 3") and text of each setting of the file, and every fault of the file."""
    if path.strip() in ("", "none"):
        return [], []
    try:
        entries = _read(Path(path.strip()).expanduser())
    except RuntimeError as error:
        return [], [f"GRPO_CONFIG: {path.strip()!r} was given; {error}; use a path that begins with /"]
    except InvalidRun as refusal:
        return [], list(refusal.faults)
    times = Counter(field(entry.name) for entry in entries)
    faults = [
        f"{entry.place.removeprefix('file ')}: {entry.name} is set {times[field(entry.name)]} times; allowed: once"
        for entry in entries
        if times[field(entry.name)] > 1
    ]
    faults += [
        f"{entry.place.removeprefix('file ')}: {entry.name} cannot be set in a file that it names; allowed: GRPO_CONFIG"
        for entry in entries
        if field(entry.name) == NAME
    ]
    return ([] if faults else [(field(entry.name), entry.place, entry.text) for entry in entries]), faults


def located(fault: str, places: Mapping[str, str]) -> str:
    """The fault with the place in the file of each setting that it is about; `places` are origins by field."""
    named = dict.fromkeys(re.findall(r"^GRPO_(\w+)|GRPO_(\w+)=", fault))
    found = [places.get((first or second).lower(), "") for first, second in named]
    told = dict.fromkeys(place.removeprefix("file ") for place in found if place.startswith("file "))
    return f"{fault} ({'; '.join(told)})" if told else fault


def _read(path: Path) -> list[Entry]:
    readers: dict[str, Callable[[str, str], list[Entry]]] = {
        ".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".env": _env,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InvalidRun(f"GRPO_CONFIG: {str(path)!r} was given; allowed: {ALLOWED}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidRun(f"GRPO_CONFIG: {str(path)!r} has more than {MOST_BYTES} bytes; allowed: {ALLOWED}")
        text = content_of(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRun(f"GRPO_CONFIG: {str(path)!r} cannot be read: {why}; allowed: {ALLOWED}") from error
    if len(entries := reader(text, path.name)) > MOST_ENTRIES:
        raise InvalidRun(f"GRPO_CONFIG: {path.name} has {len(entries)} names; allowed: at most {MOST_ENTRIES}")
    return entries


def _yaml(text: str, file: str) -> list[Entry]:
    """The scalars as they are written: `off`, `1e-4` and `007` are not made into something else."""
    import yaml

    try:
        if NESTED.search(text) or max(accumulate(map(BRACKETS.get, text, repeat(0))), default=0) > DEEPEST:
            raise RecursionError
        _require_no_copies(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return []
        if not isinstance(root, yaml.MappingNode):
            raise InvalidRun(f"GRPO_CONFIG: {file} holds no names with values; allowed: {ALLOWED}")
        return [_yaml_entry(key, value, file) for key, value in root.value]
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidRun(f"GRPO_CONFIG: {file}{line}: {error.problem}; allowed: {ALLOWED}") from error
    except RecursionError as error:
        raise InvalidRun(f"GRPO_CONFIG: {file} is nested deeper than {DEEPEST} levels; allowed: {ALLOWED}") from error
    except (yaml.YAMLError, ValueError) as error:
        why = f"cannot be read as YAML ({in_one_line(error)})"
        raise InvalidRun(f"GRPO_CONFIG: {file} {why}; allowed: {ALLOWED}") from error


def _require_no_copies(text: str) -> None:
    """Raises `MarkedYAMLError` for an alias of a list or an object: a few lines of them stand for gigabytes."""
    import yaml

    lists = set()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            lists.add(event.anchor)
        elif isinstance(event, yaml.AliasEvent) and event.anchor in lists:
            why = f"*{event.anchor} stands for a list or an object: write it out"
            raise yaml.MarkedYAMLError(problem=why, problem_mark=event.start_mark)  # type: ignore[arg-type]


def _yaml_entry(key: Any, value: Any, file: str) -> Entry:
    import yaml

    place = f"file {file}, line {key.start_mark.line + 1}"
    name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
    if isinstance(value, yaml.ScalarNode):
        null = value.tag == "tag:yaml.org,2002:null"
        return Entry(name, ("none" if value.value else "") if null else value.value, place)
    loader = yaml.SafeLoader("")
    return Entry(name, as_text(name, loader.construct_object(value, deep=True)), place)


def _toml(text: str, file: str) -> list[Entry]:
    try:
        values = tomllib.loads(text)
        lines = text.splitlines()
        return [Entry(name, as_text(name, value), f"file {file}{_line(name, lines)}") for name, value in values.items()]
    except (ValueError, RecursionError) as error:
        raise InvalidRun(f"GRPO_CONFIG: {file}: {in_one_line(error)}; allowed: {ALLOWED}") from error


def _line(name: str, lines: Sequence[str]) -> str:
    """The line that sets a key of TOML, whose reader tells none."""
    spelt = re.compile(rf"""\s*\[?\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    return next((f", line {number}" for number, line in enumerate(lines, 1) if spelt.match(line)), "")


def _env(text: str, file: str) -> list[Entry]:
    """Lines NAME=value, as `docker run --env-file` reads them; `export` and quotes around a value are dropped."""
    entries, faults = [], []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        name, sign, value = line.removeprefix("export ").partition("=")
        if line.startswith("#") or not line:
            continue
        if not sign:
            faults.append(f"GRPO_CONFIG: {file}, line {number}: no value was given; allowed: NAME=value")
        quoted = re.fullmatch(r"""(["'])(.*)\1""", value.strip())
        entries.append(Entry(name, quoted[2] if quoted else value, f"file {file}, line {number}"))
    if faults:
        raise InvalidRun(*faults)
    return entries


def as_text(name: str, value: Any) -> str:
    """A value of the file as one would write it in the variable.

    >>> as_text("rewards", {"correct": 2, "brief": 0.5}), as_text("publish_to", ["hf://me/x"]), as_text("standby", True)
    ('correct:2,brief:0.5', 'hf://me/x', 'true')
    """
    if isinstance(value, dict):
        if field(name) == "rewards":
            return ",".join(f"{reward}:{weight}" for reward, weight in value.items())
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list):
        parts = (":".join(map(str, item)) if isinstance(item, list | tuple) else str(item) for item in value)
        return ("|" if field(name) == "sample_prompts" else ",").join(parts) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
