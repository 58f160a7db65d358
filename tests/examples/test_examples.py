"""Every folder of `examples/` by the lines of its README: rows are made, checked and trained on, on a CPU."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grpo_job import try_rewards
from grpo_job.run_folder.files import read_json, read_jsonl
from grpo_job.settings import config_file
from tests.servers.judge import Judge, judging
from tests.test_cli import Invoke, invoke

__all__ = ["invoke"]

FOLDER = Path(__file__).parents[2] / "examples"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
LINES, ON_A_CPU = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/job.yaml"))
JUDGED = "llm-judge"


def told(name: str) -> dict[str, str]:
    """What `job.yaml` sets, by the name of the setting."""
    entries, faults = config_file.given(str(FOLDER / name / "job.yaml"))
    assert not faults
    return {field: text for field, _, text in entries}


@contextmanager
def copied(name: str, folder: Path) -> Iterator[tuple[Path, dict[str, str], Judge | None]]:
    """The example in a folder of its own, the variables that README exports, and the judge if it asks one."""
    place = Path(shutil.copytree(FOLDER / name, folder / name))
    variables = dict(part.split("=", 1) for part in ON_A_CPU.split()[1:])
    if name != JUDGED:
        yield place, variables, None
        return
    with judging(lambda asked: str(len(asked) % 11)) as server:
        options = json.loads(told(name)["reward_options"])
        options["judge"]["url"] = server.url
        yield place, {**variables, "GRPO_REWARD_OPTIONS": json.dumps(options)}, server


def shell(lines: str, folder: Path, variables: dict[str, str]) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    path = f"{Path(sys.executable).parent}:{clean['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", lines], cwd=folder, env={**clean, "PATH": path, **variables}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_each_example_is_in_the_table() -> None:
    rows = re.findall(r"^\| \[([\w-]+)\]\(\1/job.yaml\)", README, re.MULTILINE)
    assert sorted(rows) == NAMES


def test_every_file_that_the_readme_links_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (FOLDER / target).is_file(), target


def test_every_other_platform_is_linked_and_not_copied() -> None:
    others = FOLDER.parent / "k8s" / "others"
    assert {path.name for path in others.iterdir()} <= set(re.findall(r"others/([\w.-]+)\)", README))
    assert not any(path.suffix in (".sh", ".sbatch") for path in FOLDER.rglob("*"))


@pytest.mark.parametrize("name", NAMES)
def test_check_finds_no_fault(name: str, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    with copied(name, tmp_path) as (place, variables, _):
        shell(LINES.splitlines()[0], place, {})
        monkeypatch.chdir(place)
        code, printed, said = invoke("check", "--offline", GRPO_CONFIG="job.yaml", **variables)
    assert code == 0, printed + said
    assert "0 failed" in printed
    assert re.search(r"passed +rows", printed), printed
    (held_out,) = re.findall(r"evaluating on (\d+) of", printed)
    assert int(held_out) >= 50, "fewer are not judged"


def test_own_reward_pays_by_the_minutes_that_an_answer_is_off() -> None:
    paid = try_rewards(
        f"{FOLDER}/own-reward/my_rewards.py::on_time",
        [{"completion": f"At 1:00? No: {said}", "answer": "0:10"} for said in ("0:10", "23:55", "00:25", "0:40")],
        {"on_time": {"tolerance": 30}},
    )
    assert [row["on_time"] for row in paid] == pytest.approx([1.0, 0.5, 0.5, 0.0])


def test_json_pays_for_what_was_ordered() -> None:
    right = {"city": "Oslo", "items": [{"count": 2, "name": "mugs"}, {"count": 3, "name": "forks"}]}
    half = {"city": "Oslo", "items": right["items"][:1]}
    elsewhere = {**right, "city": "Lima"}
    odd = {"city": "Oslo", "items": [{"count": True, "name": "mugs"}]}
    said = [*map(json.dumps, (right, half, elsewhere, odd)), "```json", "[" * 100_000]
    question = "Please send 2 mugs and 3 forks to Oslo."
    paid = try_rewards(
        f"{FOLDER}/json-output/my_rewards.py::valid_order",
        [{"completion": text, "question": question} for text in said],
    )
    assert [row["valid_order"] for row in paid] == pytest.approx([1.0, 0.8, 0.9, 0.25, 0.0, 0.0])


def test_the_budget_of_the_judge_is_enough_for_the_default_run() -> None:
    options = json.loads(told(JUDGED)["reward_options"])["judge"]
    assert options["most_calls"] >= 250 * 128 + 2 * 300


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_lines_train(name: str, tmp_path: Path) -> None:
    with copied(name, tmp_path) as (place, variables, judge):
        shell(LINES, place, {**variables, "GRPO_RUN_ID": "run", "GRPO_EVAL_ROWS": "8", "GRPO_LOG_FORMAT": "plain"})
    run = place / "outputs" / "run"
    summary = read_json(run / "summary.json")
    assert (summary["ending"]["code"], summary["steps"]["done"]) == (0, 2)
    named = told(name)["rewards"].rpartition("::")[2].partition(":")[0]
    paid = [row for row in read_jsonl(run / "completions.jsonl") if row["rewards"][named] is not None]
    assert len(paid) == 128
    if judge:
        assert all("A good reply has" in body["messages"][0]["content"] for body in judge.bodies)
