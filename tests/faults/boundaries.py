"""SIGKILL at every file boundary of a save: before each file is opened, renamed or removed under `checkpoints`."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.faults import runs
from tests.faults.hooks import CountBoundaries, KillAtBoundary, WithoutReport
from tests.faults.signals import _newest

SAVED_STEP = 4
# One checkpoint is kept, so that a save also removes the one before.
SETTINGS = {"GRPO_SAVE_TOTAL_LIMIT": "1"}


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """All boundaries of the save after step 4, or as many of them as `count`, chosen by `seed`."""
    whole = folder / "whole"
    counted = folder / "boundaries"
    runs.finish(whole, SETTINGS, hooks=[CountBoundaries(SAVED_STEP, counted), WithoutReport()])
    places = counted.read_text(encoding="utf-8").splitlines()
    chosen = sorted(random.Random(seed).sample(range(len(places)), min(count, len(places))))
    for index in chosen:
        yield _trial(folder / f"trial-{index}", index, f"boundary {index + 1} of {len(places)}, {places[index]}", whole)


def _trial(folder: Path, index: int, what: str, whole: Path) -> tuple[str, str]:
    code = runs.finish(folder, SETTINGS, hooks=[KillAtBoundary(SAVED_STEP, index), WithoutReport()])
    if code != -signal.SIGKILL:
        return what, f"the killed attempt ended with {code}"
    newest = _newest(folder)
    what = f"{what}; resumed after step {newest}"
    if newest not in (SAVED_STEP - 2, SAVED_STEP):
        return what, "the last good checkpoint was lost"
    code = runs.finish(folder, SETTINGS, hooks=[WithoutReport()])
    return what, f"the resumed attempt ended with {code}" if code else runs.difference(
        runs.result(whole), runs.result(folder)
    )
