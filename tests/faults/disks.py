"""Disks that fill up or become read-only while a run writes to them. Needs the right to mount."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults import runs
from tests.faults.hooks import DiskLooksLarge, ReadOnlyAfterStep, WithoutReport
from tests.faults.signals import _newest

LEAST_KB, MOST_KB, ENOUGH_KB = 100, 4800, 64_000
FULL = ("no space left", "the disk is full")  # the system's words, and the job's where torch keeps those back


def can_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Disks of `count` sizes between too small for anything and nearly enough; every fifth turns read-only instead."""
    dice = random.Random(seed)
    whole = runs.undisturbed(folder / "undisturbed")
    width = (MOST_KB - LEAST_KB) / count
    for number in range(count):
        place = folder / f"disk-{number}"
        size = int(LEAST_KB + width * (number + dice.random()))
        if number % 5 == 4:
            yield _read_only(place, dice.randrange(1, 6), whole)
        else:
            yield _full(place, size, whole)


def _full(place: Path, size: int, whole: Path) -> tuple[str, str]:
    with _disk(place / "disk", size) as disk:
        attempt = runs.start(place, _on(disk), hooks=[DiskLooksLarge(), WithoutReport()])
        code, good = attempt.wait(), _newest(disk)
        what = f"a disk of {size} kB, exit {code}, checkpoint of step {good} is good"
        if code == 0:
            return what, runs.difference(runs.result(whole), runs.result(disk))
        if code not in (1, 2) or not any(words in attempt.said().lower() for words in FULL):
            return what, "the full disk was not named"
        _mount("-o", f"remount,size={ENOUGH_KB}k", str(disk))
        return what, _wrong_when_mended(place, disk, good, whole)


def _read_only(place: Path, step: int, whole: Path) -> tuple[str, str]:
    with _disk(place / "disk", ENOUGH_KB) as disk:
        attempt = runs.start(place, _on(disk), hooks=[DiskLooksLarge(), ReadOnlyAfterStep(step), WithoutReport()])
        code, good = attempt.wait(), _newest(disk)
        what = f"read-only after step {step}, exit {code}, checkpoint of step {good} is good"
        subprocess.run(["umount", str(disk / runs.RUN_ID / "checkpoints")], check=False)
        if code != 1 or "mount it writable" not in attempt.said():
            return what, "the read-only disk was not named"
        return what, _wrong_when_mended(place, disk, good, whole)


def _wrong_when_mended(place: Path, disk: Path, good: int, whole: Path) -> str:
    attempt = runs.start(place, _on(disk), hooks=[DiskLooksLarge(), WithoutReport()])
    if code := attempt.wait():
        return f"the resumed attempt ended with {code}"
    if good and f"resuming after step {good}" not in attempt.said():
        return f"it did not resume after step {good}"
    return runs.difference(runs.result(whole), runs.result(disk))


def _on(disk: Path) -> dict[str, str]:
    return {"GRPO_OUTPUT_DIR": str(disk)}


@contextmanager
def _disk(place: Path, size: int) -> Iterator[Path]:
    place.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size}k", "none", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
