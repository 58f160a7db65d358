"""The versions that the locks pin, for the check of what is installed: `locked_versions.json`, made by `make lock`.

python grpo_job/locked_versions.py locks/cpu.lock locks/gpu.lock
"""

import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def pinned(lock: str) -> dict[str, str]:
    r"""Package -> version, of the text of a lock.

    >>> pinned("trl==1.15.0 \\\n    --hash=sha256:04a9\nunsloth_zoo==2026.10.7")
    {'trl': '1.15.0', 'unsloth-zoo': '2026.10.7'}
    """
    return {plain_name(name): version for name, version in PIN.findall(lock)}


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


def as_text(locks: Mapping[str, str]) -> str:
    """The file, from the name and the text of each lock."""
    return json.dumps({name: pinned(text) for name, text in locks.items()}, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(as_text({Path(path).stem: Path(path).read_text() for path in sys.argv[1:]}))
