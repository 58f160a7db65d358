"""A reward that ends the process with code 0, as if the run were finished."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job.rewards import Reward, RewardFailed, as_trl_function, load

ALONE = """
import os, sys, threading, time
from grpo_job.rewards import Reward, as_trl_function
def exits(completion): {body}
print(as_trl_function(Reward("mine", 1.0, exits, own=True), {timeout})(completions=["It is 4."]), flush=True)
{then}
"""


def alone(body: str, timeout: float | None, then: str = "") -> subprocess.CompletedProcess[str]:
    """Pay one completion in a process of its own, which the reward may end."""
    code = ALONE.format(body=body, timeout=timeout, then=then)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_reward_that_ends_the_process_fails_by_name(timeout: float | None) -> None:
    ended = alone("os._exit(0)", timeout)
    assert ended.returncode == 1
    assert "RewardFailed: reward 'mine' raised SystemExit: 0" in ended.stderr
    assert "'It is 4.'" in ended.stderr


def test_a_process_that_a_reward_forks_ends_as_it_says() -> None:
    ended = alone("return os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(7), 0)[1])", 60.0)
    assert ended.stdout == "[7.0]\n"


FORKS = (
    "\n    child = os.fork()\n    if not child: {ends}\n    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
)


@pytest.mark.parametrize(
    ("ends", "code"),
    [("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('no')", 1), ("return 1.0", 0), ("1 / 0", 1), ("os._exit(7)", 7)],
)
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_process_that_a_reward_forks_never_goes_on_as_the_run(ends: str, code: int, timeout: float | None) -> None:
    ended = alone(FORKS.format(ends=ends), timeout)
    assert ended.stdout == f"[{code}.0]\n"
    assert ended.returncode == 0


async def exits_later(completion: str) -> float:
    await asyncio.sleep(0)
    sys.exit(0)


@pytest.mark.parametrize("exits", [exits_later, lambda completion: sys.exit(0)])
def test_one_that_exits_fails_by_name_and_the_process_can_still_end(exits: Callable[..., Any]) -> None:
    with pytest.raises(RewardFailed, match="'mine' raised SystemExit: 0"):
        as_trl_function(Reward("mine", 1.0, exits, own=True), 60.0)(completions=["It is 4."])
    child = os.fork() or os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_thread_that_a_reward_leaves_behind_ends_the_run_by_name(timeout: float | None) -> None:
    ended = alone("threading.Timer(1.0, lambda: os._exit(0)).start(); return 1.0", timeout, "time.sleep(60)")
    assert ended.stdout == "[1.0]\n"
    assert ended.returncode == 4
    assert "a thread of another's code called os._exit(0) at <string>, line 4" in ended.stderr


SIGNALLED = """
import os, signal
from grpo_job.rewards import as_trl_function, load
from grpo_job.outcomes import StopNow
from grpo_job.runtime.signals import Interruption
Interruption().install()
(reward,) = load([("./mine.py::paid", 1.0)])
for number in {calls}:
    as_trl_function(reward, 60.0)(completions=["It is 4."])
try:
    os.kill(os.getpid(), signal.{name})
    print("went on")
except StopNow as asked:
    print("stops for", asked)
"""
SETS = "import signal\n{imported}\ndef paid(completion):\n    {called}\n    return 1.0\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("calls", [(), (1, 2)])
def test_a_signal_stops_the_run_whatever_handler_a_reward_sets(
    name: str, calls: tuple[int, ...], tmp_path: Path
) -> None:
    sets = f"signal.signal(signal.{name}, signal.SIG_IGN)"
    body = {"imported": "", "called": sets} if calls else {"imported": sets, "called": "pass"}
    (tmp_path / "mine.py").write_text(SETS.format(**body))
    code = SIGNALLED.format(calls=calls, name=name)
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout == f"stops for {name}\n", ended.stderr


@pytest.mark.parametrize("where", ["imported", "called"])
def test_relative_paths_stay_those_of_the_run_whatever_folder_a_reward_enters(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    body = {"imported": "", "called": "pass"} | {where: "import os; os.chdir('elsewhere')"}
    (tmp_path / "mine.py").write_text(SETS.format(**body))
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        (reward,) = load([("./mine.py::paid", 1.0)])
        assert as_trl_function(reward, 60.0)(completions=["It is 4."]) == [1.0]
        assert Path.cwd() == tmp_path


@pytest.mark.parametrize("where", ["imported", "called"])
def test_the_output_stays_that_of_the_run_whatever_a_reward_puts_in_its_place(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"imported": "", "called": "pass"} | {where: "import io, sys; sys.stdout = sys.stderr = io.StringIO()"}
    (tmp_path / "mute.py").write_text(SETS.format(**body))
    (reward,) = load([(f"{tmp_path / 'mute.py'}::paid", 1.0)])
    as_trl_function(reward, 60.0)(completions=["It is 4."])
    print("told")
    print("told", file=sys.stderr)
    assert capsys.readouterr() == ("told\n", "told\n")
