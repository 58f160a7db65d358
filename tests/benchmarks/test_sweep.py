"""A sweep goes on after a failure, stops at its time, and always leaves a table."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.learning import sweep
from benchmarks.learning.runs import Place, Run
from grpo_job.run_folder.files import read_json

CODE = {
    "good": "import sys; sys.exit(0)",
    "bad": "import sys; sys.exit(4)",
    "endless": "import time; time.sleep(3600)",
}


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(run: Run, place: Place) -> subprocess.Popen[bytes]:
        if run.name == "unstartable":
            raise OSError("no such command")
        return subprocess.Popen([sys.executable, "-c", CODE[run.name]], start_new_session=True)

    monkeypatch.setattr(sweep, "start", start)


def finish(out: Path, *todo: Run, seconds: float = float("inf")) -> str:
    places = sweep.places("sample", out, None, gpus=0, per_gpu=2, caches=out)
    sweep.Sweep(todo, places, seconds).finish()
    return (out / "table.md").read_text()


def test_a_failed_run_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(tmp_path, Run(name="bad"), Run(name="unstartable"), Run(name="good"), Run(name="good", seed=2))
    exits = {path.parent.name: read_json(path)["exit"] for path in tmp_path.glob("*/run.json")}
    assert exits == {"bad-sums2-1": 4, "good-sums2-1": 0, "good-sums2-2": 0}
    assert "unstartable-sums2-1: OSError: no such command" in capsys.readouterr().out


def test_the_table_has_every_run_that_ended(tmp_path: Path) -> None:
    text = finish(tmp_path, Run(name="bad"), Run(name="good"))
    assert "| bad | sums2 | choose | 1 |" in text
    assert "| good | sums2 | choose | 1 |" in text


def test_a_run_is_ended_at_its_own_time(tmp_path: Path) -> None:
    finish(tmp_path, Run(name="endless", timeout=0.1))
    assert read_json(tmp_path / "endless-sums2-1" / "run.json")["exit"] == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0.1)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    assert sweep.wait(process, 0.0) == -signal.SIGKILL


def test_what_runs_when_the_time_is_over_is_ended_and_nothing_more_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tmp_path, Run(name="endless"), Run(name="endless", seed=2), Run(name="good", expected=60), seconds=1)
    assert "good-sums2-1: not started" in capsys.readouterr().out
    assert read_json(tmp_path / "endless-sums2-1" / "run.json")["exit"] == -signal.SIGTERM


def test_each_place_has_cores_of_its_own() -> None:
    places = sweep.places("sample", Path("out"), None, gpus=2, per_gpu=1, caches=Path("caches"))
    assert [place.gpu for place in places] == [0, 1]
    assert len({place.cache for place in places}) == 2
    assert all(place.cores for place in places)
