"""The pages in a real browser: no console error, no request, and nothing wider than a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from grpo_job import reports
from tests.reports import made_runs

PHONE = 360  # CSS pixels; headless Chromium's own window is never below 500, hence the frame
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=5000", "--dump-dom",
)  # fmt: skip
# Where text that is too wide would show: the page itself, and what juts out of it.
MEASURE = """<script>onload = () => {
  const page = document.querySelector("iframe").contentDocument.documentElement;
  const texts = page.querySelectorAll("svg.plot text").length, runs = page.querySelector("table.runs");
  const table = runs ? [runs.scrollWidth, runs.parentElement.clientWidth] : [];
  document.title = [page.clientWidth, page.scrollWidth, texts, ...table].join();
}</script>"""
ITS_OWN = "not an origin"  # who asks, in Chromium's log, where it is not the page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="apt-get install chromium"),
]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("compared")
    names = ("gsm8k-a1", "a-run-with-a-rather-long-name-0123456789", "c")
    return reports.build([made_runs.write_run(outputs / name, seed=seed) for seed, name in enumerate(names)])


@pytest.fixture(params=["made", "smoke", "comparison"])
def page(request: pytest.FixtureRequest) -> Path:
    match request.param:
        case "made":
            found: Path = request.getfixturevalue("finished") / "report.html"
        case "smoke":
            found = request.getfixturevalue("smoke") / "report.html"
        case _:
            found = request.getfixturevalue("comparison")
    return found


def opened(page: Path, folder: Path) -> tuple[str, list[str], list[str]]:
    """The document after loading, what the page wrote to the console, and the addresses that it asked for."""
    log = folder / "net.json"
    command = ["chromium", *FLAGS, f"--user-data-dir={folder}/profile", f"--log-net-log={log}", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line], asked(log)


def asked(log: Path) -> list[str]:
    events = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
    return [event["url"] for event in events if event.get("initiator", ITS_OWN) != ITS_OWN and "url" in event]


def without_policy(page: Path) -> str:
    """The page as it would be if its own policy did not forbid what it asks for."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))


def test_page_opens_without_a_console_error(page: Path, tmp_path: Path) -> None:
    document, console, _ = opened(page, tmp_path)
    assert "</footer>" in document
    assert console == []


def test_page_asks_for_nothing_even_where_it_might(page: Path, tmp_path: Path) -> None:
    free = tmp_path / "free.html"
    free.write_text(without_policy(page), encoding="utf-8")
    assert opened(free, tmp_path)[2] == []
    free.write_text(without_policy(page).replace("<main>", '<main><img src="http://127.0.0.1:9/x.png">', 1))
    assert opened(free, tmp_path)[2] == ["http://127.0.0.1:9/x.png"]


def measured_at_a_phone(page: Path, folder: Path) -> list[int]:
    """The width of the page and of what is in it, of the table of runs and of its frame, and the texts in plots."""
    framed = without_policy(page).replace("<details", "<details open")
    (folder / "frame.html").write_text(
        f'<!doctype html>{MEASURE}<iframe width="{PHONE}" height="800" style="border:0" '
        f'srcdoc="{framed.replace("&", "&amp;").replace(chr(34), "&quot;")}"></iframe>'
    )
    document, *_ = opened(folder / "frame.html", folder)
    found = re.search(r"<title>([\d,]+)</title>", document)
    assert found
    return [int(number) for number in found[1].split(",")]


def test_page_fits_a_phone(page: Path, tmp_path: Path) -> None:
    width, content, texts, *_ = measured_at_a_phone(page, tmp_path)
    assert width <= PHONE
    assert content == width
    assert texts > 100


def test_two_runs_are_side_by_side_at_a_phone(tmp_path: Path) -> None:
    both = [made_runs.write_run(tmp_path / name, seed=seed) for seed, name in enumerate(("first", "second"))]
    *_, table, room = measured_at_a_phone(reports.build(both), tmp_path)
    assert 0 < table <= room
