"""Settings as a table: name, origin, and the value as one would write it in the variable."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from grpo_job.settings.reader import Resolved
from grpo_job.settings.schema import Settings, variable
from grpo_job.settings.trl_options import options


def lines(resolved: Resolved, *, every: bool = True) -> Iterator[str]:
    """The table: chosen settings; if `every`, also the job's and TRL's defaults. The value is last: it may be long."""
    own = [name for name in resolved.origins if name in Settings.model_fields]
    # "command line" < "environment" < "file" < "recipe": alphabetical order is the order of precedence.
    chosen = sorted(
        (name for name, origin in resolved.origins.items() if origin != "default"), key=resolved.origins.__getitem__
    )
    yield from _section("Chosen", chosen, resolved)
    if every:
        yield from _section("Defaults", [name for name in own if name not in chosen], resolved)
        rest = [name for name in resolved.origins if name not in own and name not in chosen]
        yield from _section("Defaults of TRL's GRPOConfig", rest, resolved)
    else:
        yield f"{len(resolved.origins) - len(chosen)} other settings have their defaults: `grpo-job check --all`"


def as_dict(resolved: Resolved) -> dict[str, dict[str, Any]]:
    """The same as JSON values: variable -> value and origin."""
    return {
        variable(name): {"value": value_of(resolved, name), "from": origin} for name, origin in resolved.origins.items()
    }


def value_of(resolved: Resolved, name: str) -> Any:
    """The value of a setting or of any other option of GRPOConfig."""
    settings = resolved.settings
    if name in Settings.model_fields:
        return getattr(settings, name)
    return settings.grpo_config[name] if name in settings.grpo_config else options()[name]["default"]


def as_text(value: Any) -> str:
    """A value as one line; set as a variable, it gives the same value (except for line breaks).

    >>> as_text((("correct", 2.0), ("format_tags", 0.5)))
    'correct:2,format_tags:0.5'
    >>> as_text(None), as_text(True), as_text(()), as_text("a\\nb")
    ('none', 'true', 'none', '"a\\\\nb"')
    """
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value if value.isprintable() and value else json.dumps(value, ensure_ascii=False)
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case tuple() | list():
            return ",".join(_item(item) for item in value) or "none"
        case _:
            return "none" if value is None else str(value)


def _item(item: Any) -> str:
    return f"{item[0]}:{item[1]:g}" if isinstance(item, tuple) else str(item)


def _section(title: str, names: Iterable[str], resolved: Resolved) -> Iterator[str]:
    rows = [(variable(name), resolved.origins[name], as_text(value_of(resolved, name))) for name in names]
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    yield f"{title}:"
    yield from (f"  {name:{widths[0]}}  {origin:{widths[1]}}  {value}" for name, origin, value in rows)
