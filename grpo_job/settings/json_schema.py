"""`grpo-job schema`: the settings as JSON Schema, for editors of a GRPO_CONFIG file and for other programs."""

import json
from typing import Any

from grpo_job.settings import reader, trl_options
from grpo_job.settings.schema import Settings, known_names

TEXT = {"type": "string"}


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a GRPO_CONFIG file: every setting, by its name in lower case."""
    own = Settings.model_json_schema()
    properties = own["properties"]
    named = {name: _described(name, properties) for name in known_names() if name != "config"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of grpo-job",
        "description": "The setting max_steps is the variable GRPO_MAX_STEPS; a file may use either name.",
        "type": "object",
        "properties": named,
        "patternProperties": {"^GRPO_[A-Z0-9_]+$": {}},
        "additionalProperties": False,
        **({"$defs": own["$defs"]} if "$defs" in own else {}),
    }


def text() -> str:
    """The schema as JSON."""
    return json.dumps(schema(), indent=1, ensure_ascii=False)


def _described(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    if name in properties:
        found, allowed = dict(properties[name]), reader.allowed(name)
        meaning = found.pop("description")
    else:
        found, allowed = trl_options.schema(name), trl_options.allowed(name)
        meaning = "an option of TRL's GRPOConfig"
    for key in ("title", "changes_result", "description"):
        found.pop(key, None)
    default = {"default": found.pop("default")} if "default" in found else {}
    return {"description": f"{meaning}; allowed: {allowed}", **default, **_as_written(found)}


def _as_written(found: dict[str, Any]) -> dict[str, Any]:
    """A list or an object may also be the text of its variable, and an unset value the word none."""
    kinds = found.get("anyOf", [found])
    types = {kind.get("type") for kind in kinds}
    further = [TEXT] if types & {"array", "object"} else [{"const": "none"}] if "null" in types else []
    return {"anyOf": [*kinds, *further]} if further else found
