"""Runs that are cut, killed, damaged and raced, each compared with one that was left alone.

    python -m tests.campaigns.faults PART --count N --seed S

PART is one of sigterm, sigkill, boundaries, damages, cuts, races, takeovers, disks, damage, mirrors, outages. One line
a trial and a final count; equal seeds give equal plans. Exit code 1 where any trial is bad.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults import boundaries, cuts, damages, disks, mirrors, outages, races, signals, small_files

Trial = tuple[str, str]  # what was done, and what was wrong with the outcome ("" for nothing)
PARTS: dict[str, Callable[[Path, int, int], Iterator[Trial]]] = {
    "sigterm": partial(signals.trials, [signal.SIGTERM]),
    "sigkill": partial(signals.trials, [signal.SIGKILL]),
    "boundaries": boundaries.trials,
    "damages": damages.trials,
    "cuts": cuts.trials,
    "races": races.trials,
    "takeovers": races.takeovers,
    "disks": disks.trials,
    "damage": small_files.trials,
    "mirrors": mirrors.trials,
    "outages": outages.trials,
}


def main(part: str, count: int, seed: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{part}-"))
    began, good, all_ = time.monotonic(), 0, 0
    try:
        for what, wrong in PARTS[part](folder, count, seed):
            all_, good = all_ + 1, good + (not wrong)
            print(f"{part} {all_}: {what}: {f'BAD ({wrong})' if wrong else 'good'}", flush=True)
    finally:
        if good == all_:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept for a look: {folder}")
    print(f"{part}: {good} of {all_} good, seed {seed}, {time.monotonic() - began:.0f} s", flush=True)
    return int(good != all_)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(main(arguments.part, arguments.count, arguments.seed))
