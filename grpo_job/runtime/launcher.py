"""Starts the processes of a run with torchrun, passes signals on to them, and returns their outcome.

torchrun turns every failure into exit code 1, and ends the others with SIGTERM if one process is lost. So the first
process of each machine writes the outcome to a file for its launcher.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from grpo_job.outcomes import Interrupted, Outcome, Unexpected, starting_a_process
from grpo_job.run_folder import scratch
from grpo_job.runtime.signals import Interruption
from grpo_job.runtime.world import Layout
from grpo_job.settings import key_file
from grpo_job.settings.schema import Settings

ENDING_FILE = "LAUNCHER_ENDING_FILE"  # the variable that names it
RANKS_KEY = "LAUNCHER_RANKS_KEY"  # by its name a secret for the redactor
LISTENERS = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")  # the network interfaces that ranks listen on
LOOK_SECONDS = 0.1
# After the grace period, for the processes to write their outcome.
PARENT_SECONDS = 10.0


def run(layout: Layout, settings: Settings, environment: Mapping[str, str], interruption: Interruption) -> Outcome:
    """Run all processes of this machine, and return the outcome."""
    with scratch.temporary("launcher") as folder:
        ending_file = folder / "ending.json"
        # The default of torchrun is one thread each, with a warning.
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // layout.processes))}
        listening = dict.fromkeys(LISTENERS, "lo") if layout.nodes == 1 else {}
        key = {RANKS_KEY: secrets.token_hex(32)} if layout.nodes == 1 else {}
        launched = Launched(layout, {**threads, **listening, **environment, **key, ENDING_FILE: str(ending_file)})
        interruption.grace_seconds = settings.grace_seconds + PARENT_SECONDS
        interruption.before_exit = lambda reason: _end_at_once(launched, ending_file, interruption, reason)
        with interruption.noted():
            launched.wait(lambda: interruption.asked)
        return _told(ending_file, interruption) or _untold(launched, interruption.asked)


class Launched:
    """torchrun and the processes that it started."""

    def __init__(self, layout: Layout, environment: Mapping[str, str]) -> None:
        # In a session of its own, so that Ctrl-C in a terminal reaches only the parent, which passes it on.
        with starting_a_process():
            self.process = subprocess.Popen(command(layout), env=dict(environment), start_new_session=True)
        self.ranks: list[psutil.Process] = []

    def wait(self, asked: Callable[[], str | None]) -> None:
        """Wait until torchrun has ended; pass the signal that `asked` returns on, once."""
        passed_on = False
        while self.process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                self.ranks = psutil.Process(self.process.pid).children() or self.ranks
            if (name := asked()) and not passed_on:
                passed_on = True
                self.signal(signal.Signals[name])
            time.sleep(LOOK_SECONDS)
        self.kill()

    def signal(self, number: signal.Signals) -> None:
        """To each process, because torchrun would kill them after 30 s; to torchrun if there is none yet."""
        if not self.ranks:
            self.process.send_signal(number)
        for rank in self.ranks:
            with suppress(psutil.NoSuchProcess):
                rank.send_signal(number)

    def kill(self) -> None:
        """Kill what is left: torchrun first, or it would notice the end of its processes and exit by itself."""
        with suppress(ProcessLookupError):
            self.process.kill()
        for rank in self.ranks:
            with suppress(psutil.NoSuchProcess):
                rank.kill()


def command(layout: Layout) -> list[str]:
    """torchrun with this program; on several machines, its own variables tell where they meet."""
    torchrun = "grpo_job.engines.local_torchrun" if layout.nodes == 1 else "torch.distributed.run"
    return [
        sys.executable, "-m", torchrun, "--nproc-per-node", str(layout.processes),
        "--max-restarts", "0", "--no-python", sys.executable, *sys.orig_argv[1:],
    ]  # fmt: skip


def has_parent(environment: Mapping[str, str]) -> bool:
    """Whether a launcher of ours started this process."""
    return bool(environment.get(ENDING_FILE))


def teller(environment: Mapping[str, str], interruption: Interruption) -> Callable[[Outcome], bool]:
    """A function that tells the parent outcome and facts, on one process per machine; False without a parent.

    With a parent it is called too if the process ends at once.
    """
    path, speaks = environment.get(ENDING_FILE), environment.get("LOCAL_RANK") == "0"  # an engine may change it

    def tell(ending: Outcome) -> bool:
        if path and speaks:
            told = {"ending": ending._asdict(), "facts": dict(interruption.facts())}
            Path(path).write_text(json.dumps(told), encoding="utf-8")
        return bool(path)

    if path:
        interruption.on_end = tell
    return tell


def ranks_key(settings: Settings, environment: Mapping[str, str]) -> bytes:
    """What the ranks of a run sign with: the key of GRPO_RANKS_KEY_PATH, or of their launcher; empty without both."""
    if settings.ranks_key_path:
        return key_file.read(settings.ranks_key_path)
    return environment.get(RANKS_KEY, "").encode()


def _told(path: Path, interruption: Interruption) -> Outcome | None:
    """What the first process told of the ending, and, for `interruption`, of the run."""
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    interruption.facts = lambda: told["facts"]
    return Outcome(**told["ending"])


def _untold(launched: Launched, asked: str | None) -> Outcome:
    if asked:
        return Interrupted(f"{asked} was received before the run could say more").outcome()
    code = launched.process.returncode
    return Unexpected(
        f"a process was lost, and the first one could not say more (torchrun's exit code: {code})"
    ).outcome()


def _end_at_once(launched: Launched, path: Path, interruption: Interruption, reason: str) -> Outcome:
    launched.kill()
    return _told(path, interruption) or Interrupted(reason).outcome()
