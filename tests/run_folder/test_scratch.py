"""What a command fetched to a temporary folder goes when the command ends; if it was killed, at the next start."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_job.inputs.lora import CONFIG
from grpo_job.run_folder import scratch
from grpo_job.run_folder.paths import WEIGHTS

ROOT = Path(__file__).parents[2]
MADE = """
import os, signal, sys
from grpo_job.run_folder import scratch
folder = scratch.folder("rows")
(folder / "rows.jsonl").write_text("{}")
print(folder, flush=True)
if sys.argv[1:]: os.kill(os.getpid(), int(sys.argv[1]))
sys.stdin.read()
"""


def test_a_check_leaves_nothing_of_the_adapter_that_it_fetched(tmp_path: Path) -> None:
    adapter, temporary = tmp_path / "adapter", tmp_path / "temporary"
    for folder in (adapter, temporary):
        folder.mkdir()
    for name in (CONFIG, WEIGHTS):
        (adapter / name).write_text("{}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    given = {
        "GRPO_RECIPE": "smoke",
        "GRPO_OUTPUT_DIR": str(tmp_path),
        "GRPO_ADAPTER": f"file://{adapter}",
        "TMPDIR": str(temporary),
    }
    command = [sys.executable, str(ROOT / "entrypoint.py"), "check"]
    ended = subprocess.run(command, env={**kept, **given}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "GRPO_ADAPTER" in ended.stdout + ended.stderr
    assert list(temporary.iterdir()) == []


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    scratch.remove()


def another(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    """A process that makes a folder and then waits, or sends itself a signal."""
    given = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", MADE, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_a_killed_process_fetched_goes_when_another_makes_a_folder(temporary: Path) -> None:
    told, _ = another(temporary, str(int(signal.SIGKILL))).communicate()
    left = Path(told.strip())
    assert [path.name for path in left.iterdir()] == ["rows.jsonl"]
    made = scratch.folder("rows")
    assert list(temporary.iterdir()) == [made]


def test_what_a_living_process_fetched_stays_and_so_does_what_no_process_of_ours_made(temporary: Path) -> None:
    (temporary / "grpo-job-rows-of-mine").mkdir()
    (temporary / f"grpo-job-file{scratch.SUFFIX}").touch()
    (temporary / f"grpo-job-link{scratch.SUFFIX}").symlink_to(temporary / "grpo-job-rows-of-mine")
    with another(temporary) as living:
        assert living.stdout
        theirs = Path(living.stdout.readline().strip())
        first, second = scratch.folder("rows"), scratch.folder("adapter")
        assert (theirs / "rows.jsonl").is_file()
        assert first.is_dir()
        assert second.is_dir()
        living.communicate("")
    assert len(list(temporary.iterdir())) == 6


def test_a_folder_for_a_block_goes_with_it(temporary: Path) -> None:
    with scratch.temporary("verify") as folder:
        (folder / "tree").mkdir()
    assert list(temporary.iterdir()) == []


def test_no_other_file_makes_a_folder_among_the_temporary_ones_that_bears_our_name() -> None:
    ours = re.compile(r"(TemporaryDirectory|mkdtemp)\((?!.*dir=).*prefix=")
    sources = (ROOT / "grpo_job").rglob("*.py")
    assert [path.name for path in sources if ours.search(path.read_text(encoding="utf-8"))] == ["scratch.py"]
