"""Print every option of the locked TRL's `GRPOConfig` as JSON: name, kind, default, choices.

    python -m tools.list_trl_options > grpo_job/settings/trl_options.json

Settings are typed from that file, so that they can be checked without importing TRL. A test
runs this again and compares.
"""

import dataclasses
import enum
import json
import sys
import types
import typing
from typing import Any

from trl import GRPOConfig


def members(annotation: Any) -> set[Any]:
    """The alternatives of a union without `None`; one element for a plain type."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return {member for member in typing.get_args(annotation) if member is not type(None)}
    return {annotation}


def kind_of(annotation: Any) -> str:
    """The parser for text: bool, int, float, str, list, floats or json."""
    kinds = members(annotation)
    plain = {typing.get_origin(kind) or kind for kind in kinds}
    if dict in plain:
        return "json"
    if list in plain:
        return "floats" if list[float] in kinds else "list"
    for scalar in (str, float, int, bool):
        if scalar in plain:
            return scalar.__name__
    return "json"


def choices_of(field: dataclasses.Field[Any], annotation: Any) -> list[str] | None:
    """The allowed values of an enum or of the field's metadata."""
    for member in members(annotation):
        if isinstance(member, type) and issubclass(member, enum.Enum):
            return sorted(item.value for item in member)
    return sorted(field.metadata["choices"]) if "choices" in field.metadata else None


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default; for an enum, its value."""
    value = field.default_factory() if callable(field.default_factory) else field.default
    return value.value if isinstance(value, enum.Enum) else value


def options() -> dict[str, dict[str, Any]]:
    """One entry per option: {"kind", "optional", "default", "choices"}."""
    hints = typing.get_type_hints(GRPOConfig)
    return {
        field.name: {
            "kind": kind_of(hints[field.name]),
            "optional": type(None) in typing.get_args(hints[field.name]),
            "default": default_of(field),
            "choices": choices_of(field, hints[field.name]),
        }
        for field in dataclasses.fields(GRPOConfig)
    }


if __name__ == "__main__":
    lines = [f" {json.dumps(name)}: {json.dumps(option)}" for name, option in sorted(options().items())]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")
