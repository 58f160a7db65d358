"""What strangers may bring, through every command: no code runs, no file outside is touched, nothing hangs.

    python -m tests.campaigns.hostile --check 300 --others 40 --seed 0

`--check` cases go through `check`, `--others` of each kind that a command takes through `run`, `evaluate`, `report` and
`publish`. One line a trial and a final count; equal seeds give equal cases. Exit code 1 where any is bad.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.attempts import COMMANDS, trial
from tests.hostile.cases import KINDS

TREES = ("runs", "checkpoints")  # what `evaluate`, `report` and `publish` take


def trials(check: int, others: int, seed: int) -> Iterator[tuple[str, str, int]]:
    """Command, kind and seed."""
    kinds = list(KINDS)
    yield from (("check", kinds[number % len(kinds)], seed + number) for number in range(check))
    for command in COMMANDS[1:]:
        for kind in kinds if command == "run" else TREES:
            yield from ((command, kind, seed + 1000 + number) for number in range(others))


def main(check: int, others: int, seed: int) -> int:
    began, good, all_ = time.monotonic(), 0, 0
    for command, kind, number in trials(check, others, seed):
        folder = Path(tempfile.mkdtemp(prefix="hostile-"))
        what, wrong = trial(folder, command, kind, number)
        all_, good = all_ + 1, good + (not wrong)
        print(f"{kind} {number}, {what}: {f'BAD ({wrong})' if wrong else 'good'}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    counts = f"{check} through check, {others} of each kind through {', '.join(COMMANDS[1:])}"
    print(f"hostile: {good} of {all_} good ({counts}), seed {seed}, {time.monotonic() - began:.0f} s", flush=True)
    return int(good != all_)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=int, default=300)
    parser.add_argument("--others", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(main(arguments.check, arguments.others, arguments.seed))
