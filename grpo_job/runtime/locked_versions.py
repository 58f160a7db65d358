"""The versions that the locks pin, to compare with the installed ones; made by `tools/lock_versions.py`."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")


def plain_name(package: str) -> str:
    """The normalized name of a package.

    >>> plain_name("Unsloth_Zoo")
    'unsloth-zoo'
    """
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def locked() -> Mapping[str, Mapping[str, str]]:
    """`{"cpu": {package: version}, "gpu": {...}}`."""
    loaded: dict[str, dict[str, str]] = json.loads(FILE.read_text())
    return loaded
