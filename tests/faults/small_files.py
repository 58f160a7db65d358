"""Random damage to the small files of a run folder: the run ends as if there was none, or refuses with the file's name.

Two runs are damaged: one that was killed in mid-training, and one that is trained, and now to be published.
"""

import json
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from grpo_job.run_folder.files import read_jsonl, sha256
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport

SETTINGS = {
    "GRPO_MAX_STEPS": "3", "GRPO_SAVE_STEPS": "1", "GRPO_EVAL_ROWS": "2", "GRPO_NUM_GENERATIONS": "8",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16",
    "GRPO_LEASE_SECONDS": "1", "GRPO_PROBE_PROMPTS": "0",
}  # fmt: skip
ADAPTER = Path(runs.RUN_ID) / "adapter" / "adapter_model.safetensors"
UNUSED = ("heartbeat", "libraries.log")  # nothing is read from them
AT_ONCE = 4
OUTSIDE = 0.7  # of the damages, which is where most is read without a digest
SMALL = 200_000  # bytes: without weights and optimizer state, whose damage `damages` tries
VALUES: tuple[Any, ...] = (None, True, 0, -1, 1.5, "x", [], {}, [1], {"a": 1}, 10**30)

Harm = Callable[[Path, random.Random], None]


def _filled(content: Callable[[bytes, random.Random], bytes]) -> Harm:
    return lambda path, dice: path.write_bytes(content(path.read_bytes(), dice)) and None


def _flipped(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(max(1, len(content)))
    return content[:at] + bytes([dice.randrange(256)]) + content[at + 1 :]


def _other_value(content: bytes, dice: random.Random) -> bytes:
    """One value in the JSON, or in one of its lines, is another."""
    text = content.decode(errors="replace")
    lines = text.splitlines() if "\n{" in text else [text]
    at = dice.randrange(len(lines))
    try:
        place = loaded = json.loads(lines[at])
    except ValueError:
        return b"null"
    while isinstance(place, dict | list) and place:
        key = dice.choice(list(place)) if isinstance(place, dict) else dice.randrange(len(place))
        if not isinstance(place[key], dict | list) or not place[key] or dice.random() < 0.5:
            place[key] = dice.choice(VALUES)
            break
        place = place[key]
    lines[at] = json.dumps(loaded)
    return "".join(f"{line}\n" for line in lines).encode()


def _folder(path: Path, dice: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("of somebody")


def _dangling_link(path: Path, dice: random.Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


HARMS: dict[str, Harm] = {
    "garbage": _filled(lambda content, dice: dice.randbytes(200)),
    "cut": _filled(lambda content, dice: content[: dice.randrange(max(1, len(content)))]),
    "empty": _filled(lambda content, dice: b""),
    "one byte": _filled(_flipped),
    "zeros": _filled(lambda content, dice: bytes(len(content))),
    "UTF-16": _filled(lambda content, dice: content.decode(errors="replace").encode("utf-16")),
    "another type": _filled(lambda content, dice: json.dumps(dice.choice(VALUES)).encode() + b"\n"),
    "another value": _filled(_other_value),
    "deep": _filled(lambda content, dice: b"[" * 100_000 + b"\n"),
    "twice": _filled(lambda content, dice: content + content),
    "removed": lambda path, dice: path.unlink(),
    "a folder": _folder,
    "a dangling link": _dangling_link,
}


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` damages, drawn evenly over runs, kinds of files and kinds of harm."""
    dice = random.Random(seed)
    whole, damaged = _made(folder)
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        begun = [_begin(folder / f"trial-{number}", damaged[number % len(damaged)], dice) for number in numbers]
        for trial in begun:
            yield _end(*trial, whole)


def _made(folder: Path) -> tuple[str, list[Path]]:
    """The digest of the adapter of an undisturbed run, and the runs to damage."""
    whole, cut = folder / "whole", folder / "cut"
    assert runs.finish(whole, SETTINGS, hooks=[WithoutReport()]) == 0
    assert any(row["grad_norm"] > 0 for row in read_jsonl(whole / runs.RUN_ID / "metrics.jsonl"))
    assert runs.finish(cut, SETTINGS, hooks=[SignalAfterStep(2, signal.SIGKILL), WithoutReport()]) == -signal.SIGKILL
    return sha256(whole / ADAPTER), [cut, whole]


def _begin(folder: Path, damaged: Path, dice: random.Random) -> tuple[str, Path, runs.Attempt]:
    """What is done to which file, and the attempt that finds it so."""
    shutil.copytree(damaged, folder)
    files = _small_files(folder / runs.RUN_ID)
    outside = [path for path in files if "checkpoints" not in path.parts and path.name not in UNUSED]
    path, kind = dice.choice(outside if dice.random() < OUTSIDE else files), dice.choice(list(HARMS))
    HARMS[kind](path, dice)
    settings = {**SETTINGS, "GRPO_PUBLISH_TO": f"file://{folder}/published"}
    what = f"{damaged.name}, {path.relative_to(folder / runs.RUN_ID)}: {kind}"
    return what, path, runs.start(folder, settings, hooks=[WithoutReport()])


def _end(what: str, path: Path, attempt: runs.Attempt, whole: str) -> tuple[str, str]:
    code, folder = attempt.wait(), attempt.log.parent
    wrong = _wrong(folder, path, whole, code, attempt.said())
    if not wrong:
        shutil.rmtree(folder)
    return f"{what}; exit {code}", wrong


def _wrong(folder: Path, path: Path, whole: str, code: int, said: str) -> str:
    if "Traceback" in said:
        return "a traceback"
    if code == 2:
        return "" if str(path) in said else "the file was not named"
    if code:
        return f"it ended with {code}"
    places = (folder / ADAPTER, folder / "published" / "adapter_model.safetensors")
    return "" if all(sha256(place) == whole for place in places) else "another adapter"


def _small_files(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size < SMALL)
