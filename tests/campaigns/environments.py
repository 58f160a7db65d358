"""Fuzzed environments through `grpo-job check --offline`: each ends with 0 or 2, without a traceback, within 10 s.

Each is a fork of one process that has imported everything, so that it costs what the checks cost.

python -m tests.campaigns.environments COUNT [FIRST_SEED]
"""

import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.campaigns.environment_parts import Files, fuzzed

LONGEST_SECONDS = 10
HANGS = 60  # seconds until a fork is ended
STRANGER = 54321  # the id of a user whom no machine knows
# A fault begins with the variable, or with the name that is nearly one.
NAMED = re.compile(r"[A-Z][A-Z0-9_]{2,}\b|(?:https?|all|no)_proxy\b|['\"]")


class Ended(NamedTuple):
    """One check in one environment."""

    environment: dict[str, str]
    code: int
    said: str
    seconds: float

    def fault(self) -> str | None:
        """What must not be; None if all is well."""
        if "Traceback" in self.said:
            return f"traceback: {self.said.strip().splitlines()[-3:]}"
        if self.code not in (0, 2):
            return f"ended with {self.code}: {self.said[-500:]}"
        faults = self.said.rpartition("grpo-job: refused (exit 2)\n")[2].strip().splitlines() if self.code == 2 else []
        if self.code == 2 and not faults:
            return "refused without a reason"
        return next((f"names no variable: {line}" for line in faults if not NAMED.match(line)), None)


def main(count: int, first_seed: int = 0) -> int:
    """Check that many environments; returns the exit code, 0 if every one ended well."""
    scratch = Path(tempfile.mkdtemp(prefix="grpo-job-environments-"))
    scratch.chmod(0o755)
    try:
        files = Files(scratch)
        _import_all()
        ended = [_told(_checked(files, seed)) for seed in range(first_seed, first_seed + count)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    bad = [one for one in ended if one.fault()]
    slow = [one for one in ended if one.seconds > LONGEST_SECONDS]
    codes = Counter(one.code for one in ended)
    longest = max(one.seconds for one in ended)
    print(
        f"environments: {count - len(bad)} of {count} good (exit 0: {codes[0]}, exit 2: {codes[2]}), {len(slow)} above "
        f"{LONGEST_SECONDS} s, the longest {longest:.1f} s, seed {first_seed}"
    )
    return 1 if bad or slow else 0


def _import_all() -> None:
    """Before the forks. The clients read HF_HUB_OFFLINE on import."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    "x".encode("idna")  # a codec is a module too, and a stranger may not read this user's Python

    import grpo_job.cli
    import grpo_job.phases.show_rows
    import grpo_job.settings.reader
    import grpo_job.stores.hub
    import grpo_job.stores.s3  # noqa: F401


def _checked(files: Files, seed: int) -> Ended:
    """One that took too long is checked again, because the machine may have been busy."""
    first = _once(files, seed)
    return first if first.seconds <= LONGEST_SECONDS else _once(files, seed)


def _once(files: Files, seed: int) -> Ended:
    chance = random.Random(seed)
    environment, how = fuzzed(chance, files)
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = os.fork() or _check(environment, how, said.fileno())
        code = _code_of(child, began)
        seconds = time.monotonic() - began
        said.seek(0)
        return Ended(environment | {"how": ", ".join(how)}, code, said.read().decode(errors="replace"), seconds)


def _code_of(child: int, began: float) -> int:
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() - began > HANGS:
            os.kill(child, signal.SIGKILL)  # so it ends with -9
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(ended[1])


def _check(environment: dict[str, str], how: list[str], said: int) -> int:
    """In the fork: never returns."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(said, 2)
        encoding = "ascii" if "ascii" in how else "utf-8"
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding=encoding, write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place if "gone" in how else "/")
        if "stranger" in how and os.geteuid() == 0:
            os.setgid(STRANGER)
            os.setuid(STRANGER)
        os.environ.clear()
        os.environ.update(environment)
        from grpo_job.cli import main
        from grpo_job.runtime.signals import Interruption

        main(["check", "--offline"], obj=Interruption(), standalone_mode=False)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _told(one: Ended) -> Ended:
    """The same, after printing what is wrong with it."""
    wrong = one.fault() or (f"{one.seconds:.0f} s" if one.seconds > LONGEST_SECONDS else "")
    if wrong:
        print(f"{wrong}\n    in {json.dumps(_short(one.environment))}", flush=True)
    return one


def _short(environment: dict[str, str]) -> dict[str, str]:
    return {
        name: value if len(value) < 80 else f"{value[:60]}... ({len(value)})" for name, value in environment.items()
    }


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
