"""Labels that a file stores as numbers and names in its features, by name: `neg` and `pos` for 0 and 1.

`features` are as the `datasets` library writes them: `{"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}`.
"""

import json
from collections.abc import Mapping
from typing import Any

from grpo_job.inputs.content import Item

Features = Mapping[str, Any]
NO_FEATURES: Features = {}


def in_schema(schema: Any) -> Features:
    """The features in an Arrow schema; empty where another program wrote it."""
    try:
        written = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        found = written["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def named(rows: list[Item], features: Features) -> list[Item]:
    """The rows, in which labels have their names; -1, which stands for no label, is None.

    >>> named([{"label": 1}, {"label": -1}], {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}})
    [{'label': 'pos'}, {'label': None}]
    """
    for column, feature in features.items():
        if "ClassLabel" in str(feature):
            for row in rows:
                if column in row:
                    row[column] = _by_name(row[column], feature)
    return rows


def _by_name(value: Any, feature: Any) -> Any:
    match feature, value:
        case {"_type": "ClassLabel", "names": [*names]}, int() if value < len(names):
            return names[value] if value >= 0 else None
        case [inner], list():
            return [_by_name(each, inner) for each in value]
        case {"feature": inner}, list():
            return [_by_name(each, inner) for each in value]
        case {"feature": dict() as inner}, dict():  # older files store a list of structs as lists
            return {name: _by_name(each, [inner.get(name)]) for name, each in value.items()}
        case dict() as inner, dict():
            return {name: _by_name(each, inner.get(name)) for name, each in value.items()}
    return value
