"""The versions that the locks pin, for the check of what is installed. `tools/lock_versions.py` makes the JSON file."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")


def plain_name(package: str) -> str:
    """One spelling of a package's name.

    >>> plain_name("Unsloth_Zoo")
    'unsloth-zoo'
    """
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def locked() -> Mapping[str, Mapping[str, str]]:
    """`{"cpu": {package: version}, "gpu": {...}}`."""
    loaded: dict[str, dict[str, str]] = json.loads(FILE.read_text())
    return loaded
