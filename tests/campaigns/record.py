"""Run a campaign in full and write what it found into benchmarks/CAMPAIGNS.md.

Only from a tree that is that of a commit, and that nobody edits meanwhile.

python -m tests.campaigns.record PART
"""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ROOT / "benchmarks" / "CAMPAIGNS.md"
FAULTS = (
    ("sigterm", "30", "1"),
    ("sigkill", "30", "2"),
    ("boundaries", "1000", "3"),  # all of them: there are fewer
    ("damages", "15", "4"),
    ("cuts", "42", "5"),
    ("races", "20", "6"),
    ("takeovers", "20", "7"),
    ("disks", "10", "8"),
    ("mirrors", "16", "9"),
    ("damage", "200", "10"),
    ("outages", "60", "10"),
)
# part -> the command behind `python -m tests.campaigns.`
PARTS = {
    "learning": ["learning", "5", "0"],
    "publish": ["publish_faults", "50", "0"],
    "health": ["health", "20", "0"],
    "verdict": ["verdict", "2000", "0"],
    "secrets": ["leaks"],
    "hostile": ["hostile", "--check", "300", "--others", "40", "--seed", "0"],
    "environments": ["environments", "3000", "0"],
    "random_reward": ["random_reward", "20", "0"],
    **{part: ["faults", part, "--count", count, "--seed", seed] for part, count, seed in FAULTS},
}
HEADER = """# Campaigns

The full counts, each run by `make campaign PART=...`; CI runs a small sample of each.

| date | part | result | command | commit | seconds |
| --- | --- | --- | --- | --- | --- |
"""


def main(part: str) -> int:
    if part not in PARTS:
        raise SystemExit(f"PART={part!r} was given; allowed: {', '.join(PARTS)}")
    if changed := git("status", "--porcelain", "--", ".", f":!{LEDGER.relative_to(ROOT)}"):
        raise SystemExit(f"the ledger names a commit, and this tree differs from it:\n{changed}\ncommit it first")
    tested = git("describe", "--always", "--exclude=*")
    command = ["python", "-m", f"tests.campaigns.{PARTS[part][0]}", *PARTS[part][1:]]
    began = time.monotonic()
    run = subprocess.Popen([sys.executable, *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        print(line, end="", flush=True)
        lines.append(line.strip())
    code = run.wait()
    if not LEDGER.exists():
        LEDGER.write_text(HEADER)
    result = lines[-1] if code == 0 else f"FAILED (exit {code}): {lines[-1] if lines else ''}"
    row = (
        f"{datetime.now(UTC):%Y-%m-%d}",
        part,
        result,
        f"`{' '.join(command)}`",
        tested,
        f"{time.monotonic() - began:.0f}",
    )
    with LEDGER.open("a") as ledger:
        ledger.write(f"| {' | '.join(row)} |\n")
    return code


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
