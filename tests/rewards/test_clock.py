"""Work that is not ours ends in time whatever it does to the alarm; where it cannot be stopped, the process ends."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import Reward, RewardFailed, as_trl_function, clock

HEAD = "import contextlib, ctypes, re, signal, sys, threading, time\n"
ENDS = """
def rude(completion, answer):
    {body}

from grpo_job.rewards import Reward, as_trl_function, clock
clock.RINGS, clock.DEAF_SECONDS = 1, {deaf}
as_trl_function(Reward("rude", 1.0, rude, own=True), 0.2)(completions=["a"], answer=["b"])
"""


def paid(reward: object, seconds: float = 0.2) -> list[float | None]:
    call = as_trl_function(Reward("rude", 1.0, reward, own=True), seconds)  # type: ignore[arg-type]
    return call(completions=["one", "two"], answer=["1", "2"])


def test_a_machine_that_lets_no_process_start_is_refused_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (python := tmp_path / "python").touch()
    monkeypatch.setattr(clock, "_running", [])
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(InvalidRun, match=r"^'/.*/python' cannot be started .* \(Permission denied\): allow more proc"):
        paid(lambda completion, answer: 1.0, 60)


def test_one_that_uses_the_alarm_as_math_verify_does_is_cut_all_the_same() -> None:
    import signal

    def rude(completion: str, answer: str) -> float:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.alarm(5)
        signal.alarm(0)
        while True:
            pass

    with pytest.raises(RewardFailed, match="reward 'rude' did not end in time on the completion 'one'"):
        paid(rude)


def test_a_hung_match_behind_such_an_alarm_is_cut() -> None:
    import re
    import signal

    def rude(completion: str, answer: str) -> float:
        signal.alarm(0)
        return float(bool(re.match(r"(a+)+$", "a" * 64 + "b")))

    with pytest.raises(RewardFailed, match="did not end in time"):
        paid(rude)


def test_one_that_swallows_errors_is_cut() -> None:
    import signal

    def rude(completion: str, answer: str) -> float:
        signal.alarm(0)
        try:
            time.sleep(10**6)
        except BaseException:
            time.sleep(10**6)
        return 1.0

    with pytest.raises(RewardFailed, match="did not end in time"):
        paid(rude)


def test_work_in_time_keeps_its_pay_and_leaves_no_clock_behind() -> None:
    assert paid(lambda completion, answer: float(answer), 60) == [1.0, 2.0]
    assert paid(lambda completion, answer: float(answer), 60) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("body", "deaf"),
    [
        ("while True:\n        with contextlib.suppress(BaseException): time.sleep(10**6)", 600),
        # as native code that holds the interpreter's lock and hears no signal
        ("lock = ctypes.create_string_buffer(64)\n    for _ in 'ab': ctypes.PyDLL(None).pthread_mutex_lock(lock)", 0.5),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, 41])\n    time.sleep(10**6)", 0.5),
    ],
    ids=["catches everything", "native", "blocks signals"],
)
def test_one_that_cannot_be_stopped_ends_the_process_with_4_and_is_named(
    body: str, deaf: float, tmp_path: Path
) -> None:
    script = tmp_path / "rude.py"
    script.write_text(HEAD + ENDS.format(body=body, deaf=deaf))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4, done.stderr
    assert "reward 'rude' did not end in time and cannot be stopped" in done.stderr
