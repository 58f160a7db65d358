"""Two processes on the CPU: what they learn with one all-reduce before each step is what DDP would have them learn."""

from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_jsonl, sha256
from grpo_job.run_folder.paths import RunFolder
from tests.ranks import runs
from tests.ranks.hooks import WithDdp

SETTINGS = {
    "GRPO_MAX_STEPS": "4",
    "GRPO_HEALTH": "off",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4",
    "GRPO_GRADIENT_ACCUMULATION_STEPS": "4",
    "GRPO_NUM_ITERATIONS": "2",
    "GRPO_BETA": "0.04",
}
LEARNED = ("loss", "grad_norm", "kl", "entropy")


@pytest.mark.slow
def test_over_micro_steps_iterations_and_a_reference_the_adapter_is_that_of_ddp_byte_by_byte(tmp_path: Path) -> None:
    for name, hooks in {"ours": (), "ddp": (WithDdp(),)}.items():
        attempt = runs.start(tmp_path / name, SETTINGS, hooks)
        assert attempt.wait() == 0, attempt.said()
    ours, theirs = (RunFolder(tmp_path / name / runs.RUN_ID) for name in ("ours", "ddp"))
    learned = [[[row[name] for name in LEARNED] for row in read_jsonl(run.metrics)] for run in (ours, theirs)]
    assert learned[0] == learned[1]
    assert any(row[LEARNED.index("grad_norm")] > 0 for row in learned[0])
    weights = "adapter/adapter_model.safetensors"
    assert sha256(ours.path / weights) == sha256(theirs.path / weights)
