"""`grpo-job check` refuses what `run` would refuse of the run that is in the folder already."""

import re
from pathlib import Path

import pytest

from grpo_job.checkpoints import CheckpointManager
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import earlier_run
from grpo_job.run_folder import identity
from grpo_job.run_folder.files import write_json
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.inputs.row_files import jsonl, load, problems


def settings_at(folder: Path, **given: str) -> Settings:
    known = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run", **given}
    return resolve(known).settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a checkpoint at step 3 of a run that ended with a result."""
    run = tmp_path / "run"
    chosen = {"model_commit": None, "training_rows": "ab12", "engine_chosen": "unsloth on a GPU"}
    shared = {**identity.identity(settings_at(tmp_path)), **chosen}
    manager = CheckpointManager(run / "checkpoints", shared, keep=1)
    (manager.partial / "checkpoint-3").mkdir(parents=True)
    (manager.partial / "checkpoint-3" / "weights").write_bytes(b"weights")
    manager.commit(3, manager.partial / "checkpoint-3")
    return tmp_path


def faults(folder: Path, **given: str) -> list[str]:
    return [finding.sentence for finding in earlier_run.findings(settings_at(folder, **given), None)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ""),
        ({"GRPO_MAX_STEPS": "9", "GRPO_LOG_FORMAT": "json"}, ""),
        ({"GRPO_LEARNING_RATE": "auto"}, ""),  # which is a number only once the model is read
        ({"GRPO_SEED": "7", "GRPO_RESUME": "never"}, ""),
        ({"GRPO_SEED": "7", "GRPO_RUN_ID": "another"}, ""),
        ({"GRPO_SEED": "7"}, "GRPO_RUN_ID=run: its checkpoint at step 3 .* \\(seed: 42 -> 7\\); allowed: "),
    ],
)
def test_other_settings_than_those_of_the_checkpoint_are_refused(
    given: dict[str, str], told: str, folder: Path
) -> None:
    found = faults(folder, **given)
    assert [bool(re.match(told, sentence)) for sentence in found] == [True] * bool(told)


def test_other_rows_and_fewer_steps_are_refused_once_the_rows_are_read(folder: Path) -> None:
    rows = load(jsonl(folder / "rows.jsonl", problems(40)))._replace(digest="cd34")
    found = [f.sentence for f in earlier_run.findings(settings_at(folder, GRPO_MAX_STEPS="2"), rows)]
    assert "training_rows: 'ab12' -> 'cd34'" in found[0]
    assert "GRPO_MAX_STEPS asks for 2 steps, but that run has already done 3" in found[1]


def test_a_reward_file_may_change_until_the_run_has_a_result(folder: Path) -> None:
    reward = folder / "mine.py"
    reward.write_text("def mine(completion, answer):\n    return 1.0\n")
    given = {"GRPO_REWARDS": f"{reward}::mine"}
    manager = CheckpointManager(folder / "run" / "checkpoints", identity.identity(settings_at(folder, **given)), keep=1)
    (manager.partial / "checkpoint-4").mkdir(parents=True)
    (manager.partial / "checkpoint-4" / "weights").write_bytes(b"weights")
    manager.commit(4, manager.partial / "checkpoint-4")
    reward.write_text("def mine(completion, answer):\n    return 0.5\n")
    assert faults(folder, **given) == []
    write_json(folder / "run" / "summary.json", {"adapter": {"path": "adapter", "sha256": "a1"}})
    assert "reward_files" in faults(folder, **given)[0]


def test_what_is_in_the_way_of_the_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InvalidRun, match="run is not a folder, but the job keeps one there"):
        faults(tmp_path)
