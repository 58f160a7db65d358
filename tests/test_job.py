"""One whole run through the door, on the embedded sample: what it leaves behind, and running it again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.inputs import sample

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "GRPO_RECIPE": "smoke",
    "GRPO_MAX_STEPS": "3",
    "GRPO_SAVE_STEPS": "2",
    "GRPO_EVAL_ROWS": "12",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16",
    "GRPO_RUN_ID": "small",
}


def entrypoint(outputs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python entrypoint.py` in `outputs`, with nothing of this process's own settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    environment = {**clean, **SMALL, "GRPO_OUTPUT_DIR": str(outputs), **variables}
    return subprocess.run(
        [sys.executable, str(ROOT / "entrypoint.py")], env=environment, capture_output=True, text=True, cwd=outputs
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, which was also published into a folder beside it."""
    outputs = tmp_path_factory.mktemp("outputs")
    run = entrypoint(outputs, GRPO_PUBLISH_TO=f"file://{outputs}/published")
    assert run.returncode == 0, run.stdout + run.stderr
    (outputs / "small" / "said").write_text(run.stdout)
    return outputs / "small"


def summary(folder: Path) -> dict[str, object]:
    return json.loads((folder / "summary.json").read_text())


def test_every_file_of_the_run_folder_is_there(finished: Path) -> None:
    for name in (
        "settings.json", "environment.json", "metrics.jsonl", "completions.jsonl", "summary.json", "report.html",
        "evaluation/before.jsonl", "evaluation/after.jsonl", "evaluation/evaluation.json",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/tokenizer.json",
        "adapter/README.md", "checkpoints/step-000002/manifest.json", "checkpoints/step-000003/manifest.json",
    ):  # fmt: skip
        assert (finished / name).stat().st_size > 0, name
    assert list((finished / "plots").glob("*.png"))


def test_the_summary_has_the_keys_that_others_read(finished: Path) -> None:
    found = summary(finished)
    assert found["ending"] == {"code": 0, "kind": "finished", "reason": "trained, evaluated, published and verified"}
    assert found["steps"] == {"done": 3, "planned": 3, "lost_to_resume": 0}
    assert found["accuracy"].keys() >= {"before", "after", "rows", "verdict", "p_value"}
    assert found["seconds"].keys() >= {
        "check", "download", "load", "first_step", "train", "evaluate", "save", "publish", "total",
    }  # fmt: skip
    assert found["attempts"] == 1
    assert found["published"][0]["verified"] is True


def test_metrics_hold_one_line_a_step_under_trls_names(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[0].keys() >= {"reward", "reward_std", "rewards/correct/mean", "loss", "grad_norm", "time/generation"}


def test_completions_hold_what_each_reward_paid(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "completions.jsonl").read_text().splitlines()]
    assert len(lines) == 3 * 16
    assert all(line["rewards"].keys() == {"correct", "format_tags"} for line in lines)


def test_the_adapter_names_its_base_as_the_user_did(finished: Path) -> None:
    config = json.loads((finished / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "sample"


def test_nothing_that_is_published_holds_a_path_of_the_machine(finished: Path) -> None:
    published = finished.parent / "published"
    assert (published / "adapter_model.safetensors").is_file()
    for path in published.rglob("*"):
        if path.is_file():
            assert str(finished.parent).encode() not in path.read_bytes(), path


def test_the_last_lines_say_what_was_learned_where_it_is_and_what_it_took(finished: Path) -> None:
    said = (finished / "said").read_text().splitlines()[-7:]
    assert "held-out right answers, read anywhere:" in said[0]
    assert any("adapter:" in line for line in said)
    assert any("time:" in line for line in said)


def test_a_finished_run_is_left_untouched(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    run = entrypoint(finished.parent)
    assert run.returncode == 0
    assert "is already finished" in run.stdout
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_other_training_rows_under_the_same_run_id_are_refused_by_name_and_other_held_out_rows_are_not(
    tmp_path: Path,
) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    shutil.copyfile(sample.TRAIN, rows / "train.jsonl")
    shutil.copyfile(sample.HELD_OUT, rows / "test.jsonl")
    own = {"GRPO_DATASET": str(rows), "GRPO_MAX_STEPS": "1", "GRPO_SAMPLE_PROMPTS": "none"}
    assert entrypoint(tmp_path, **own).returncode == 0
    (rows / "test.jsonl").write_text("".join(sample.HELD_OUT.read_text().splitlines(keepends=True)[20:]))
    assert "is already finished" in entrypoint(tmp_path, **own).stdout
    (rows / "train.jsonl").write_text("".join(sample.TRAIN.read_text().splitlines(keepends=True)[1:]))
    refused = entrypoint(tmp_path, **own)
    assert refused.returncode == 2
    assert "its checkpoint at step 1 was made with other settings or rows (training_rows: " in refused.stderr
    assert summary(tmp_path / "small")["ending"]["code"] == 0  # type: ignore[index]


def test_a_default_model_without_a_gpu_is_refused_with_what_to_set(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    sample = ROOT / "grpo_job/inputs/sample/model"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"):
        (big / name).write_bytes((sample / name).read_bytes())
    config = json.loads((sample / "config.json").read_text())
    config |= {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16}
    (big / "config.json").write_text(json.dumps(config))
    run = entrypoint(tmp_path, GRPO_MODEL=str(big), GRPO_ENGINE="auto")
    assert run.returncode == 2
    assert "no NVIDIA GPU" in run.stderr
    assert "GRPO_RECIPE=smoke" in run.stderr
