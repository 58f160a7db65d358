"""A seed of each campaign over whole runs; those of faults have theirs in tests/faults."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns import faults, health, leaks, learning, record, verdict
from tests.campaigns.canaries import plantings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_healthy_run_is_not_stopped() -> None:
    assert health.main(1, first_seed=100) == 0


@pytest.mark.slow
def test_a_seed_learns() -> None:
    assert learning.main(1, first_seed=100) == 0


def test_runs_without_effect_and_answers_that_ignore_the_question_are_not_improved() -> None:
    assert verdict.main(10, first_seed=100) == 0


@pytest.mark.slow
def test_no_spelling_of_a_secret_gets_out_of_a_command() -> None:
    planted = [each for each in plantings() if each.secret in ("keys", "two lines")]
    assert leaks.main(("settings", "answer of a store", "crash"), planted)


@pytest.mark.slow
def test_no_spelling_of_a_secret_gets_out_of_a_run() -> None:
    assert leaks.main(("rows", "written by C code", "raised by a reward"))


@pytest.mark.slow
def test_fuzzed_environments_end_in_findings_and_not_in_a_traceback() -> None:
    """In a process of its own, because it forks. How long each takes is for the campaign to judge."""
    command = [sys.executable, "-m", "tests.campaigns.environments", "8", "100000"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert "environments: 8 of 8 good" in said, said


def test_every_part_of_the_fault_campaigns_can_be_recorded() -> None:
    others = {"learning", "publish", "health", "hostile", "verdict", "secrets", "random_reward", "environments"}
    assert record.PARTS.keys() == {*others, *faults.PARTS}


def test_a_tree_that_is_not_its_commits_is_not_recorded(tmp_path: Path) -> None:
    """The ledger itself may differ: other parts were written into it."""
    for name in (".gitignore", "tests/campaigns/record.py", "benchmarks/CAMPAIGNS.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "tests" / "campaigns" / "learning.py").write_text("print('learning: 1 of 1')\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *arguments], check=True)
    command = [sys.executable, "-m", "tests.campaigns.record", "learning"]

    def recorded() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    for _ in range(2):
        assert recorded().returncode == 0
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    ledger = (tmp_path / "benchmarks" / "CAMPAIGNS.md").read_text()
    assert ledger.count("| learning: 1 of 1 |") == 2
    assert ledger.rstrip().split(" | ")[-2] in commit
    (tmp_path / "tests" / "campaigns" / "learning.py").write_text("print('learning: 2 of 2')\n")
    refused = recorded()
    assert refused.returncode == 1
    assert "M tests/campaigns/learning.py" in refused.stderr
    assert (tmp_path / "benchmarks" / "CAMPAIGNS.md").read_text() == ledger
