"""SIGTERM and SIGKILL at random moments of a run's whole life, from the container's own door."""

import itertools
import json
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from grpo_job.checkpoints.validity import damage_of
from grpo_job.run_folder.files import read_json
from tests.faults import runs

SAVE_STEPS = int(runs.SETTINGS["GRPO_SAVE_STEPS"])
CAUGHT = f"{1 << (signal.SIGTERM - 1):x}"
LATE = "the run was over first"


class Moment(NamedTuple):
    """`seconds` behind the beginning of the `nth` phase called `phase`."""

    phase: str
    nth: int
    seconds: float


def trials(killers: Sequence[signal.Signals], folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Two trials with each signal in turn.

    One half of the moments is drawn evenly over the time, the other over the phases, of which most are short.
    """
    dice = random.Random(seed)
    whole = folder / "whole"
    lengths = _phases_of(whole)
    life = sum(lengths.values())
    tried = 0
    for number in itertools.count():
        if tried == count:
            return
        phase, nth = dice.choice(list(lengths))
        moment = _moment_at(dice.uniform(0, life), lengths)
        if number % 2:
            moment = Moment(phase, nth, dice.uniform(0, lengths[phase, nth]))
        killer = killers[tried // 2 % len(killers)]
        what, wrong = _trial(folder / f"trial-{number}", killer, moment, whole)
        if wrong != LATE:
            tried += 1
            yield what, wrong


def _trial(folder: Path, killer: signal.Signals, moment: Moment, whole: Path) -> tuple[str, str]:
    attempt = runs.start_cold(folder, _settings(folder))
    began = time.monotonic()
    attempt.wait_until(lambda: _has_begun(attempt, moment))
    time.sleep(moment.seconds)
    sent = time.time()
    if not attempt.signal(killer):
        return "", LATE
    at = f"{time.monotonic() - began:.1f} s"
    code = attempt.wait()
    what = f"{killer.name} at {at}, {moment.seconds:.1f} s into {moment.phase}; exit {code}"
    if _is_published(folder) and _manifest(folder).stat().st_mtime < sent:
        return what, LATE
    wrong = _wrong_with_the_cut(folder, killer, code)
    newest = _newest(folder)
    again = runs.start(folder, _settings(folder))
    if not wrong and (code := again.wait()):
        wrong = f"the resumed attempt ended with {code}"
    return f"{what}, resumed after step {newest}", wrong or _wrong_with_the_whole(folder, whole)


def _wrong_with_the_cut(folder: Path, killer: signal.Signals, code: int) -> str:
    expected = 75 if killer == signal.SIGTERM else -killer
    if code != expected:
        return f"it ended with {code}, not {expected}"
    if killer == signal.SIGTERM and _is_published(folder):
        return "the interrupted run was published"
    return ""


def _wrong_with_the_whole(folder: Path, whole: Path) -> str:
    lost = read_json(folder / runs.RUN_ID / "summary.json")["steps"]["lost_to_resume"]
    if lost > SAVE_STEPS:
        return f"{lost} steps were lost"
    if not _is_published(folder):
        return "the resumed run was not published"
    return runs.difference(runs.result(whole), runs.result(folder))


def _settings(folder: Path) -> dict[str, str]:
    return {"GRPO_PUBLISH_TO": f"file://{folder}/published"}


def _is_published(folder: Path) -> bool:
    return _manifest(folder).exists()


def _manifest(folder: Path) -> Path:
    return folder / "published" / "manifest.json"


def _newest(folder: Path) -> int:
    whole = [path for path in (folder / runs.RUN_ID / "checkpoints").glob("step-*") if damage_of(path) is None]
    return max((int(path.name.removeprefix("step-")) for path in whole), default=0)


def _phases_of(whole: Path) -> dict[tuple[str, int], float]:
    """The seconds of each phase of an undisturbed run, `start` being all before the first."""
    attempt = runs.start_cold(whole, _settings(whole))
    attempt.wait_until(lambda: _handles_signals(attempt.pid))
    began = time.time()
    assert attempt.wait() == 0, attempt.said()
    ended = time.time()
    seen: dict[tuple[str, int], float] = {("start", 1): began}
    for phase, at in _phases(attempt.said()):
        nth = sum(name == phase for name, _ in seen) + 1
        seen[phase, nth] = at
    ends = [*list(seen.values())[1:], ended]
    return {key: max(end - at, 0.0) for (key, at), end in zip(seen.items(), ends, strict=True)}


def _phases(said: str) -> list[tuple[str, float]]:
    lines = (json.loads(line) for line in said.splitlines() if line.startswith("{") and line.endswith("}"))
    return [(line["phase"], line["time"]) for line in lines if line.get("event") == "phase"]


def _moment_at(seconds: float, lengths: dict[tuple[str, int], float]) -> Moment:
    """The moment so long after the start, told by its phase: on a busier machine all phases are longer."""
    for (phase, nth), length in lengths.items():
        if seconds <= length:
            return Moment(phase, nth, seconds)
        seconds -= length
    return Moment(phase, nth, length)


def _has_begun(attempt: runs.Attempt, moment: Moment) -> bool:
    if moment.phase == "start":
        return _handles_signals(attempt.pid)
    return sum(phase == moment.phase for phase, _ in _phases(attempt.said())) >= moment.nth


def _handles_signals(pid: int) -> bool:
    """Whether the process has come to the first line of the job; before it there is only Python itself."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return True
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & int(CAUGHT, 16))
