"""Two and three attempts at one run at the same time; one killed, one frozen and woken."""

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grpo_job.run_folder.files import read_jsonl
from tests.faults import runs
from tests.faults.runs import Attempt

HELD = 5
LEASE_SECONDS = 4.0
Start = Callable[[int], Attempt]


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Kind after kind, each in one run folder, and in folders of their own with a mirror in common."""
    return _trials(folder, count, seed, list(KINDS))


def takeovers(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Nothing but holders that are killed."""
    return _trials(folder, count, seed, ["holder killed"])


def _trials(folder: Path, count: int, seed: int, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    dice = random.Random(seed)
    whole = runs.undisturbed(folder / "undisturbed")
    kinds = [(kind, apart) for kind in names for apart in (False, True)]
    for number in range(count):
        kind, apart = kinds[number % len(kinds)]
        place = folder / f"trial-{number}"
        what, attempts, wrong = KINDS[kind](lambda index, at=place, apart=apart: _start(at, index, apart), dice)
        yield (
            f"{kind}, {'folders of their own' if apart else 'one folder'}: {what}",
            wrong or _wrong_at_the_end(place, attempts, whole),
        )


def _start(place: Path, index: int, apart: bool) -> Attempt:
    settings = {
        "GRPO_LEASE_SECONDS": str(LEASE_SECONDS),
        "GRPO_PUBLISH_TO": f"file://{place}/published",
        "GRPO_CHECKPOINT_TO": f"file://{place}/mirror" if apart else "none",
    }
    return runs.start(place / f"machine-{index}" if apart else place, settings)


def _at_once(start: Start, dice: random.Random, number: int) -> tuple[str, list[Attempt], str]:
    """Of several that start together one does the run; the others give way, or find it done."""
    pauses = [0.0] + [dice.uniform(0, 1) for _ in range(number - 1)]
    attempts = []
    for index, pause in enumerate(pauses):
        time.sleep(pause)
        attempts.append(start(index))
    codes = [attempt.wait() for attempt in attempts]
    wrong = "" if set(codes) <= {0, HELD} and 0 in codes else "an attempt neither finished nor gave way"
    return f"exits {codes}", attempts, wrong


def _killed(start: Start, dice: random.Random) -> tuple[str, list[Attempt], str]:
    """Whoever comes after a holder that was killed takes its run over."""
    step = dice.randrange(1, 6)
    first = start(0)
    first.wait_until(lambda: _said_step(first, step))
    first.signal(signal.SIGKILL)
    second = start(1)
    codes = [first.wait(), second.wait()]
    wrong = "" if codes == [-signal.SIGKILL, 0] else "the killed holder's run was not taken over"
    return f"SIGKILL after step {step}, exits {codes}", [first, second], wrong


def _frozen(start: Start, dice: random.Random) -> tuple[str, list[Attempt], str]:
    """A frozen holder loses its run; woken while or after the other works, it writes nothing more and exits 5."""
    step, late = dice.randrange(1, 6), dice.random() < 0.5
    first = start(0)
    first.wait_until(lambda: _said_step(first, step))
    first.signal(signal.SIGSTOP)
    second = start(1)
    second.wait_until(lambda: _said_step(second, 6)) if not late else second.wait()
    first.signal(signal.SIGCONT)
    codes = [first.wait(), second.wait()]
    wrong = "" if codes == [HELD, 0] else "the frozen holder did not give way"
    return f"frozen after step {step}, woken {'late' if late else 'early'}, exits {codes}", [first, second], wrong


KINDS: dict[str, Callable[[Start, random.Random], tuple[str, list[Attempt], str]]] = {
    "two at once": lambda start, dice: _at_once(start, dice, 2),
    "holder killed": _killed,
    "three at once": lambda start, dice: _at_once(start, dice, 3),
    "holder frozen": _frozen,
}


def _wrong_at_the_end(place: Path, attempts: Sequence[Attempt], whole: Path) -> str:
    publishers = sum('"phase": "publish"' in attempt.said() for attempt in attempts)
    if publishers != 1:
        return f"{publishers} attempts published"
    if not (place / "published" / "manifest.json").exists():
        return "nothing was published"
    finished = next(attempt for attempt in attempts if '"phase": "publish"' in attempt.said())
    folder = finished.log.parent
    if (place / runs.RUN_ID).exists():
        steps = [row["step"] for row in read_jsonl(place / runs.RUN_ID / "metrics.jsonl")]
        if len(set(steps)) != len(steps):
            return f"metrics.jsonl has the steps {steps}"
    return runs.difference(runs.result(whole), runs.result(folder))


def _said_step(attempt: Attempt, step: int) -> bool:
    return f'"event": "step", "step": {step},' in attempt.said()
