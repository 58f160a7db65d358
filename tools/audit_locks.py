"""Checks the locks against PyPI's vulnerability database: `make vulnerabilities`.

python tools/audit_locks.py PIP_AUDIT LOCK [LOCK ...]

Exit 1 if a locked version has a known vulnerability. pip-audit itself passes if its database cannot be reached,
package by package: this counts the packages that were looked up.
"""

import json
import subprocess
import sys
from typing import Any


def report(pip_audit: str, lock: str) -> dict[str, Any] | None:
    """The pip-audit result for a lock; None if there is none."""
    arguments = ["--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off", "--requirement", lock]
    answer = subprocess.run([pip_audit, *arguments], capture_output=True, text=True, check=False)
    try:
        loaded: dict[str, Any] = json.loads(answer.stdout)
    except json.JSONDecodeError:
        print(answer.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    return loaded


def told(lock: str, found: dict[str, Any] | None) -> tuple[str, bool]:
    """A report, and whether the lock has no known vulnerability."""
    packages = found["dependencies"] if found else []
    looked_up = [package for package in packages if "vulns" in package]
    if not looked_up:
        return f"{lock}: SKIPPED, the vulnerability database cannot be reached", True
    lines = [
        f"  {package['name']} {package['version']}: {hit['id']}, fixed in {', '.join(hit['fix_versions']) or 'none'}"
        for package in looked_up
        for hit in package["vulns"]
    ]
    counted = f"{lock}: {len(looked_up)} of {len(packages)} packages looked up, {len(lines)} known vulnerabilities"
    return "\n".join([counted, *lines]), not lines


if __name__ == "__main__":
    verdicts = [told(lock, report(sys.argv[1], lock)) for lock in sys.argv[2:]]
    print("\n".join(text for text, _ in verdicts))
    sys.exit(not all(clean for _, clean in verdicts))
