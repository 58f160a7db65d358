"""The ways by which vLLM gets the LoRA: the GPU's dither is the reference's, and each way trains the sample."""

from pathlib import Path
from statistics import median

import pytest
import torch

from grpo_job.engines.rollouts.rounding import DROPPED_BITS, _dithered, key_of, round_dithered
from grpo_job.run_folder.files import read_json, read_jsonl
from tests.gpu import runs

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", DROPPED_BITS)
def test_the_kernel_gives_the_bits_of_the_reference(dtype: torch.dtype) -> None:
    value = torch.randn(1003, 517, device="cuda") * 0.02
    for key in (key_of(42, 0), 0, 2**31 - 1):
        out = round_dithered(value, key, torch.empty_like(value, dtype=dtype))
        assert torch.equal(out, _dithered(value, key, DROPPED_BITS[dtype]).to(dtype))


@pytest.mark.parametrize("engine", ["unsloth", "trl"])
@pytest.mark.parametrize("way", ["folded", "rounded", "lora"])
def test_each_way_trains_and_a_dither_keeps_nine_tenths(tmp_path: Path, engine: str, way: str) -> None:
    settings = {"GRPO_ENGINE": engine, "GRPO_ROLLOUT_WEIGHTS": way, "GRPO_MAX_STEPS": "6", "GRPO_LEARNING_RATE": "1e-5"}
    assert runs.start(tmp_path, settings).wait(300) == 0, runs.said(tmp_path)
    folder = runs.folder(tmp_path)
    assert read_json(folder.summary)["ending"]["code"] == 0
    kept = [row["weights/kept"] for row in read_jsonl(folder.metrics) if "weights/kept" in row]
    assert "fold the adapter into the 16-bit weights" not in runs.said(tmp_path)
    if way == "lora":
        assert kept == []
    else:
        assert (median(kept) > 0.9) == (way == "rounded")
