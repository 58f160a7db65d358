"""The parent of the launcher, with a stand-in for torchrun that starts processes and turns their failures into a 1."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from grpo_job.outcomes import Outcome
from grpo_job.runtime import launcher
from grpo_job.runtime.signals import Interruption
from grpo_job.runtime.world import Layout
from grpo_job.settings.schema import Settings

TORCHRUN = """
import os, subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, "LOCAL_RANK": str(rank)})
            for rank in (0, 1)]
sys.exit(1 if any([child.wait() for child in children]) else 0)
"""
TELLS = """
import os
from grpo_job.outcomes import Outcome
from grpo_job.runtime.launcher import teller
from grpo_job.runtime.signals import Interruption
interruption = Interruption()
interruption.facts = lambda: {"run_id": "run-1"}
tell = teller(os.environ, interruption)
"""
Launch = Callable[..., Outcome]


def ask(interruption: Interruption, name: str, once: Callable[[], bool]) -> None:
    """As the signal would."""
    while not once():
        time.sleep(0.05)
    interruption.ask(name)


def both_are_there() -> bool:
    return sum("LOCAL_RANK" in said(process) for process in psutil.Process().children(recursive=True)) >= 2


def said(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, facts: dict[str, object]) -> Launch:
    """Run with two processes of this source; `asked` is sent to the parent `once` they are ready for it."""

    def launched(source: str, asked: str | None = None, once: Callable[[], bool] = both_are_there) -> Outcome:
        monkeypatch.setattr(launcher, "command", lambda layout: [sys.executable, "-c", TORCHRUN, TELLS + source])
        interruption = Interruption()
        if asked:
            threading.Thread(target=ask, args=(interruption, asked, once)).start()
        outcome = launcher.run(Layout(2), Settings(grace_seconds=20.0), os.environ, interruption)
        facts.update(interruption.facts())
        return outcome

    return launched


@pytest.fixture
def facts() -> dict[str, object]:
    """What the parent knows of the run in the end."""
    return {}


@pytest.mark.parametrize("ending", [Outcome(0, "finished", "done"), Outcome(75, "interrupted", "SIGTERM was received")])
def test_the_ending_of_the_first_process_is_the_parents_and_not_torchruns(
    ending: Outcome, launch: Launch, facts: dict[str, object]
) -> None:
    assert launch(f"tell(Outcome{tuple(ending)!r}); raise SystemExit({ending.code})") == ending
    assert facts == {"run_id": "run-1"}


def test_only_the_first_process_of_a_machine_speaks() -> None:
    interruption, ending = Interruption(), Outcome(1, "", "")
    second = {launcher.ENDING_FILE: "no folder/file", "LOCAL_RANK": "1"}
    tell = launcher.teller(second, interruption)
    second["LOCAL_RANK"] = "0"  # an engine numbers the one GPU that each process sees
    assert tell(ending) is True
    assert launcher.teller({"LOCAL_RANK": "0"}, interruption)(ending) is False, "it has no such parent"


def test_processes_that_end_without_a_word_are_an_unexpected_error(launch: Launch) -> None:
    ending = launch("raise SystemExit(3)")
    assert (ending.code, ending.kind) == (1, "unexpected")
    assert "torchrun's exit code: 1" in ending.reason


def test_the_processes_of_one_machine_share_a_key_that_no_other_attempt_has(launch: Launch, tmp_path: Path) -> None:
    source = f"""
from grpo_job.runtime.launcher import ranks_key
from grpo_job.settings.schema import Settings
with open({str(tmp_path)!r} + "/keys", "a") as file:
    file.write(ranks_key(Settings(), os.environ).decode() + "\\n")
"""
    launch(source)
    first, second = (tmp_path / "keys").read_text().split()
    launch(source)
    *_, third, fourth = (tmp_path / "keys").read_text().split()
    assert len(first) == 64
    assert first == second != third == fourth


def test_several_machines_share_the_key_that_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Torchrun(launcher.Launched):
        def __init__(self, layout: Layout, environment: Mapping[str, str]) -> None:
            given.append(environment.get(launcher.RANKS_KEY))
            raise InterruptedError

    monkeypatch.setattr(launcher, "Launched", Torchrun)
    with pytest.raises(InterruptedError):
        launcher.run(Layout(2, nodes=2), Settings(), {}, Interruption())
    assert given == [None]
    (tmp_path / "key").write_text("k" * 32 + "\n")
    assert (
        launcher.ranks_key(Settings(ranks_key_path=str(tmp_path / "key")), {launcher.RANKS_KEY: "other"}) == b"k" * 32
    )
    assert launcher.ranks_key(Settings(), {}) == b""


def test_a_signal_to_the_parent_reaches_each_process_once(launch: Launch, tmp_path: Path) -> None:
    source = f"""
import signal, time
def heard(number, frame):
    with open({str(tmp_path)!r} + "/" + os.environ["LOCAL_RANK"], "a") as file:
        file.write(signal.Signals(number).name)
    tell(Outcome(75, "interrupted", "in order")); raise SystemExit(0)
signal.signal(signal.SIGINT, heard)
open({str(tmp_path)!r} + "/listens-" + os.environ["LOCAL_RANK"], "x")
time.sleep(60)
"""

    def both_listen() -> bool:
        return len(list(tmp_path.glob("listens-*"))) == 2

    assert launch(source, asked="SIGINT", once=both_listen) == Outcome(75, "interrupted", "in order")
    assert [(tmp_path / rank).read_text() for rank in ("0", "1")] == ["SIGINT", "SIGINT"]


def test_processes_that_a_signal_ends_before_they_can_speak_were_interrupted(launch: Launch) -> None:
    ending = launch("import time; time.sleep(60)", asked="SIGTERM")
    assert (ending.code, ending.kind) == (75, "interrupted")


def test_the_command_is_this_program_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "entrypoint.py", "--set", "max_steps=3"])
    there = launcher.command(Layout(4))
    assert there[1:6] == ["-m", "grpo_job.engines.local_torchrun", "--nproc-per-node", "4", "--max-restarts"]
    assert there[-5:] == ["--no-python", sys.executable, "entrypoint.py", "--set", "max_steps=3"]
    assert launcher.command(Layout(4, nodes=2))[1:3] == ["-m", "torch.distributed.run"]


def test_what_is_left_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        launcher, "command", lambda layout: [sys.executable, "-c", TORCHRUN, "import time; time.sleep(60)"]
    )
    launched = launcher.Launched(Layout(2), os.environ)
    while len(launched.ranks) < 2:
        launched.ranks = psutil.Process(launched.process.pid).children()
        time.sleep(0.05)
    launched.kill()
    assert launched.process.wait() == -signal.SIGKILL
    while any(said(rank) for rank in launched.ranks):  # a zombie, whose exit code nobody fetches, has no environment
        time.sleep(0.05)
