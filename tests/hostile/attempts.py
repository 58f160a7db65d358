"""One command on one hostile case: did it run code, touch a file outside, hang, or end with a traceback?"""

import os
import random
import time
from pathlib import Path

from tests.faults import runs
from tests.hostile.cases import KINDS, Case

LONGEST = 30.0  # seconds until a command counts as hanging; a training that was let in has TRAINING
TRAINING = 300.0
PRIVATE = "private of its owner, 5c1d"
COMMANDS = ("check", "run", "evaluate", "report", "publish")
CODES = (0, 2, 3, 4)


def trial(folder: Path, command: str, kind: str, seed: int) -> tuple[str, str]:
    """What was done, and what was wrong with the outcome ("" for nothing)."""
    inner = folder / "inner"
    inner.mkdir(parents=True)
    (folder / "private").write_text(PRIVATE)
    (folder / "away").mkdir()
    case = KINDS[kind](random.Random(f"{seed} {kind}"), inner)
    before = _outside(folder)
    code, seconds, said = _ended(command, case, inner)
    what = f"{command} of {case.what}: exit {code} in {seconds:.1f} s"
    if _outside(folder) != before:
        return what, f"a file outside was touched: {sorted(_outside(folder).items() ^ before.items())[:3]}"
    if copies := _copies(folder / "inner"):
        return what, f"a private file was copied to {copies}"
    if list(folder.rglob("canary")):
        return what, "code was run"
    if code is None:
        return what, "it hung"
    if "Traceback (most recent call last)" in said:
        return what, f"a traceback: {said[-600:]}"
    return what, "" if code in CODES else f"exit {code}: {said[-400:]}"


def _copies(inner: Path) -> list[str]:
    """The files of the case, and of what was written for it, that hold what only `private` held."""
    files = (
        path for path in inner.rglob("*") if not path.is_symlink() and path.is_file() and path.stat().st_nlink == 1
    )
    return [str(path) for path in files if path.stat().st_size < 2**26 and PRIVATE.encode() in path.read_bytes()]


def _outside(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything beside the hostile case, without the log and what evaluations write next to their input."""
    paths = (path for path in folder.rglob("*") if path.name != "inner" and folder / "inner" not in path.parents)
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths if path.suffix != ".log"}


def _ended(command: str, case: Case, inner: Path) -> tuple[int | None, float, str]:
    """The exit code (None: it hung), the seconds, and what was said."""
    arguments = {
        "check": ["check"],
        "run": ["run"],
        "publish": ["publish", str(case.tree), "--to", f"file://{inner}/published"],
    }.get(command, [command, str(case.tree)])
    settings = {"GRPO_MAX_STEPS": "1", "GRPO_SAVE_STEPS": "1", "GRPO_OUTPUT_DIR": str(inner / "outputs")}
    is_own = case.tree.is_relative_to(inner / "outputs")  # then `run` finds it as its own run's folder
    asked = case.settings if command == "check" or (command == "run" and not is_own) else {}
    log = inner / "said.log"
    log.touch()
    variables = {**runs.environment(inner / "outputs", settings), **asked, "HF_HUB_OFFLINE": "1", "LANG": "C.UTF-8"}
    if command not in ("check", "run"):
        variables = {name: value for name, value in variables.items() if not name.startswith("GRPO_")}
        variables["GRPO_OUTPUT_DIR"] = str(inner / "mine")  # the tree is a stranger's
    process = runs.forked(_main, variables, arguments, str(log), str(inner))  # the first one loads the libraries, too
    began = time.monotonic()
    process.join(TRAINING if command in ("run", "evaluate") else LONGEST)
    if hung := process.is_alive():
        process.kill()
        process.join()
    said = log.read_text(encoding="utf-8", errors="replace")
    return None if hung else process.exitcode, time.monotonic() - began, said


def _main(variables: dict[str, str], arguments: list[str], log: str, folder: str) -> None:
    """The whole life of the forked process: as `grpo-job`, with standard output and error in `log`."""
    from grpo_job.cli import main
    from grpo_job.runtime.signals import Interruption

    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    main(arguments, obj=Interruption().install())
