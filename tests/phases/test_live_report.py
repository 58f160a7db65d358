"""The report of a run that goes on: written by a process of its own, sent beside the checkpoints, stopped at once."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job.phases import live_report
from grpo_job.phases.live_report import LiveReport
from grpo_job.run_folder.files import read_json, write_json
from tests.faults import runs
from tests.reports.made_runs import write_run

WAIT = 90.0


class Sent:
    """A mirror that keeps what each report held, and lets a test wait for the next one."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, bool]] = []
        self.came = threading.Semaphore(0)

    def send_report(self, report: Path, *, last: bool = False) -> None:
        self.pages.append((report.read_text(encoding="utf-8"), last))
        self.came.release()

    def finish(self, seconds: float, *, report: bool) -> bool:
        return report


@pytest.fixture
def going(tmp_path: Path) -> Path:
    """The folder of a run that is at step 8 of 20, after an earlier result of which nothing holds."""
    folder = write_run(tmp_path / "run-1", steps=8, rows=60)
    summary = read_json(folder / "summary.json")
    nothing = dict.fromkeys(("after", "verdict", "p_value"))
    going = {"ending": {"code": None, "kind": "running", "reason": ""}, "steps": {**summary["steps"], "planned": 20}}
    write_json(folder / "summary.json", {**summary, **going, "accuracy": {**summary["accuracy"], **nothing}})
    return folder


def live(folder: Path, mirror: Sent, warned: list[str]) -> LiveReport:
    return LiveReport(folder, {}, mirror, warned.append)  # type: ignore[arg-type]


def program(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Runs this source in place of the report's own command; the folder is its first argument."""
    monkeypatch.setattr(live_report, "COMMAND", (sys.executable, "-c", source))


def test_it_says_that_it_is_live_at_which_step_and_that_there_is_no_verdict(going: Path) -> None:
    mirror, warned = Sent(), list[str]()
    report = live(going, mirror, warned)
    report.refresh()
    assert mirror.came.acquire(timeout=WAIT), warned
    ((page, last),) = mirror.pages
    assert ">Live: step 8 of 20, no verdict yet</span>" in page
    assert " UTC. This page is rewritten at each checkpoint" in page
    assert '<meta http-equiv="refresh" content="60">' in page
    assert "Improved" not in page
    assert not last
    report.stop()


def test_a_process_that_is_no_longer_wanted_may_take_back_its_locks(
    going: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    program(
        monkeypatch,
        f"{live_report.CONSIDERATE}import pathlib, time\nlock = pathlib.Path({str(lock)!r})\n"
        "try:\n    lock.touch()\n    while True: time.sleep(0.02)\nfinally: lock.unlink()",
    )
    report = live(going, Sent(), [])
    report.refresh()
    wait_for(lock.exists)
    report.stop()
    assert not lock.exists()


def test_of_the_checkpoints_saved_meanwhile_one_is_reported_next(
    going: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, mirror = tmp_path / "gate", Sent()
    program(
        monkeypatch,
        f"import pathlib, sys, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
        "file = pathlib.Path(sys.argv[1], 'report.html')\nfile.write_text(file.read_text() + 'x')",
    )
    (going / "report.html").write_text("")
    report = live(going, mirror, [])
    report.refresh()
    wait_for(lambda: report._process is not None)
    for _ in range(5):
        report.refresh()
    gate.touch()
    assert all(mirror.came.acquire(timeout=WAIT) for _ in range(2))
    report.stop()
    assert [page for page, _ in mirror.pages] == ["x", "xx"]


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        threading.Event().wait(0.01)


def test_after_a_stop_nothing_is_written_and_the_last_report_takes_its_place(
    going: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "import time; time.sleep(600)")
    mirror = Sent()
    report = live(going, mirror, [])
    report.refresh()
    wait_for(lambda: report._process is not None)
    assert report._process
    assert os.getsid(report._process.pid) != os.getsid(0)  # a signal to this group leaves it alone
    with report.replaced():
        (going / "report.html").write_text("the last one")
    report.refresh()
    assert mirror.pages == [("the last one", True)]
    assert report._thread is not None
    report._thread.join(WAIT)
    assert not report._thread.is_alive()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((sys.executable, "-c", "raise SystemExit('no room for it')"), "no room for it"),
        (("/no/such/program",), "[Errno 2] No such file or directory: '/no/such/program'"),
    ],
)
def test_a_failure_is_one_warning(
    command: tuple[str, ...], said: str, going: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_report, "COMMAND", command)
    warned, told = list[str](), threading.Event()
    report = LiveReport(going, {}, None, lambda text: (warned.append(text), told.set()))
    report.refresh()
    assert told.wait(WAIT)
    report.refresh()
    wait_for(lambda: not report._wanted and report._process is None)
    report.stop()
    assert warned == [f"the live report could not be written: {said}"]


def test_a_folder_that_vanished_is_not_made_again(going: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from grpo_job.reports import html

    def vanishing(*_: Any) -> str:
        (going / "summary.json").unlink()
        return "page"

    monkeypatch.setattr(html, "report", vanishing)
    html.write_live(going)
    assert not (going / "report.html").exists()


@pytest.mark.slow
def test_the_last_report_of_a_real_run_stands_beside_its_mirrored_checkpoints(tmp_path: Path) -> None:
    attempt = runs.start(tmp_path, {"GRPO_CHECKPOINT_TO": f"file://{tmp_path}/mirror"})
    assert attempt.wait() == 0, attempt.said()
    here, there = (path / "report.html" for path in (tmp_path / runs.RUN_ID, tmp_path / "mirror" / runs.RUN_ID))
    assert there.read_bytes() == here.read_bytes()
    assert "Live: step" not in here.read_text()
    assert "the live report could not be written" not in attempt.said()
