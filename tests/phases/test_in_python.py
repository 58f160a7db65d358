"""`grpo_job.run` and `grpo_job.load`: the job from Python."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import grpo_job
from grpo_job import outcomes
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import in_python
from tests.reports import made_runs

pandas = pytest.importorskip("pandas")
DOCS = Path(__file__).parents[2] / "docs"
# What the job's process was called with, and the ending that it is told to have.
CHILD = """
import json, os, pathlib, sys
said = dict(part.split("=", 1) for part in sys.argv[2::2])
folder = pathlib.Path(said["output_dir"]) / said["run_id"]
folder.mkdir(parents=True, exist_ok=True)
(folder / "settings.json").write_text(json.dumps({"settings": said}))
code = int(os.environ["ENDS_WITH"])
(folder / "summary.json").write_text(json.dumps({"ending": {"code": code, "reason": "because of this"}}))
sys.exit(code)
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return made_runs.write_run(tmp_path / "outputs" / "gsm8k-a1")


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process in place of the job, which writes down what it was told."""
    monkeypatch.setattr(in_python, "COMMAND", (sys.executable, "-c", CHILD))
    monkeypatch.setenv("ENDS_WITH", "0")
    return tmp_path


def start(folder: Path, **settings: Any) -> in_python.LoadedRun:
    return grpo_job.run(recipe="smoke", output_dir=folder, **settings)


def test_settings_of_python_are_those_of_the_run(child: Path) -> None:
    run = start(
        child, max_steps=3, rewards={"correct": 2, "format_tags": 0.5}, max_hours=None, publish_merged=True, seed=7,
        publish_to=(f"file://{child}/a",), reward_options={"format_tags": {}}, learning_rate=1e-4,
    )  # fmt: skip
    told = run.settings
    assert told["rewards"] == "correct:2,format_tags:0.5"
    assert (told["max_steps"], told["max_hours"], told["publish_merged"], told["seed"]) == ("3", "none", "true", "7")
    assert (told["publish_to"], told["reward_options"]) == (f"file://{child}/a", '{"format_tags": {}}')
    assert float(told["learning_rate"]) == 1e-4
    assert run.folder == child / told["run_id"]
    assert re.fullmatch(r"smoke-\w{10}", told["run_id"])


@pytest.mark.parametrize("pairs", [[("correct", 2), ("format_tags", 0.5)], (["correct", 2], ["format_tags", 0.5])])
def test_rewards_of_python_may_be_pairs(child: Path, pairs: Any) -> None:
    assert start(child, max_steps=3, rewards=pairs).settings["rewards"] == "correct:2,format_tags:0.5"


def test_the_same_call_finds_the_same_run_and_another_one_another(child: Path) -> None:
    assert start(child, max_steps=3).folder == start(child, max_steps=3).folder != start(child, max_steps=4).folder


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, "Unexpected"),
        (2, "InvalidRun"),
        (3, "PublishFailed"),
        (4, "Abandoned"),
        (5, "RunLocked"),
        (75, "Interrupted"),
    ],
)
def test_each_exit_code_is_an_exception_with_the_reason(
    code: int, kind: str, child: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDS_WITH", str(code))
    with pytest.raises(outcomes.RunEnded, match="because of this") as ended:
        start(child)
    assert type(ended.value) is getattr(outcomes, kind)


def test_faults_of_settings_are_raised_at_once_before_any_process(child: Path) -> None:
    with pytest.raises(InvalidRun) as refusal:
        start(child, max_steps="many", lr=1, rewards="unknown_reward:1")
    assert len(refusal.value.faults) == 3
    assert list(child.iterdir()) == []


def test_a_run_folder_is_plain_data_that_pandas_takes(made: Path) -> None:
    run = grpo_job.load(str(made))
    metrics, answers = pandas.DataFrame(run.metrics), pandas.DataFrame(run.answers)
    assert list(metrics["step"]) == list(range(1, len(metrics) + 1))
    assert set(answers["when"]) == {"before", "after"}
    shares = answers.groupby("when")["correct"].mean()
    assert shares["after"] == pytest.approx(run.evaluation["correct"]["after"])
    assert run.summary["run_id"] == run.folder.name
    assert (run.folder, run.settings["model"] is not None) == (made, True)


def test_a_published_tree_is_loaded_with_the_adapter_at_its_root(made: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copytree(made, tree / "run")
    shutil.rmtree(tree / "run" / "adapter", ignore_errors=True)
    (tree / "adapter_model.safetensors").touch()
    run = grpo_job.load(tree)
    assert (run.adapter, run.folder) == (tree, tree / "run")
    assert run.metrics == grpo_job.load(made).metrics


def test_a_run_that_only_began_has_empty_parts(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"settings": {"seed": 1}}))
    run = grpo_job.load(tmp_path)
    assert (run.metrics, run.answers, run.completions, run.evaluation) == ([], [], [], {})
    assert (run.adapter, run.report) == (None, None)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidRun, match=r"no settings\.json; allowed: a run folder, or a published tree"):
            grpo_job.load(path)


def test_the_page_names_every_attribute() -> None:
    told = set(re.findall(r"`(\w+)`", (DOCS / "python.md").read_text()))
    assert {name for name in dir(in_python.LoadedRun) if not name.startswith("_")} | {"folder"} <= told


@pytest.mark.slow
def test_it_trains(tmp_path: Path) -> None:
    run = start(tmp_path, max_steps=2, eval_rows=8, probe_prompts=0)
    assert (run.summary["ending"]["code"], len(run.metrics), len(run.answers)) == (0, 2, 16)
    assert run.adapter == run.folder / "adapter"
    assert run.report is not None
    assert start(tmp_path, max_steps=2, eval_rows=8, probe_prompts=0).summary == run.summary
