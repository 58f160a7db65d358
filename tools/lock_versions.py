"""Write `locked_versions.json`, the versions that a run expects: part of `make lock`.

python -m tools.lock_versions locks/cpu.lock locks/gpu.lock
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from grpo_job.runtime.locked_versions import FILE, plain_name

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def pinned(lock: str) -> dict[str, str]:
    r"""Package -> version, from the text of a lock.

    >>> pinned("trl==1.15.0 \\\n    --hash=sha256:04a9\nunsloth_zoo==2026.10.7")
    {'trl': '1.15.0', 'unsloth-zoo': '2026.10.7'}
    """
    return {plain_name(name): version for name, version in PIN.findall(lock)}


def as_text(locks: Mapping[str, str]) -> str:
    """The content of the file, from the name and text of each lock."""
    return json.dumps({name: pinned(text) for name, text in locks.items()}, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(as_text({Path(path).stem: Path(path).read_text() for path in sys.argv[1:]}))
