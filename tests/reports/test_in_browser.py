"""The page in a real browser: no console error, and nothing wider than a phone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PHONE = 360  # CSS pixels; headless Chromium's own window is never below 500, hence the frame
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=5000", "--dump-dom",
)  # fmt: skip
# Where text that is too wide would show: the page itself, and what juts out of it.
MEASURE = """<script>onload = () => {
  const page = document.querySelector("iframe").contentDocument.documentElement;
  document.title = [page.clientWidth, page.scrollWidth, page.querySelectorAll("svg.plot text").length].join();
}</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="apt-get install chromium"),
]


def opened(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The document after loading, and what the page wrote to the console."""
    command = ["chromium", *FLAGS, f"--user-data-dir={profile}", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


def test_page_opens_without_a_console_error(finished: Path, tmp_path: Path) -> None:
    document, console = opened(finished / "report.html", tmp_path)
    assert "Improved" in document
    assert console == []  # its own policy forbids all requests, and a refused one is an error here


def test_page_fits_a_phone(finished: Path, tmp_path: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8").replace("<details", "<details open")
    framed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (tmp_path / "frame.html").write_text(
        f'<!doctype html>{MEASURE}<iframe width="{PHONE}" height="800" style="border:0" '
        f'srcdoc="{framed.replace("&", "&amp;").replace(chr(34), "&quot;")}"></iframe>'
    )
    document, _ = opened(tmp_path / "frame.html", tmp_path / "profile")
    found = re.search(r"<title>(\d+),(\d+),(\d+)</title>", document)
    assert found
    assert int(found[1]) <= PHONE
    assert int(found[2]) == int(found[1])
    assert int(found[3]) > 100
