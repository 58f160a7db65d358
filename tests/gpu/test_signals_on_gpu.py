"""SIGTERM at each moment of a run on Unsloth and vLLM, and the run that goes on."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

import pytest

from grpo_job.run_folder.files import read_jsonl
from grpo_job.run_folder.paths import RunFolder
from tests.gpu import runs
from tests.gpu.interrupted import MOMENTS

pytestmark = pytest.mark.gpu

SETTINGS = {"GRPO_ENGINE": "unsloth", "GRPO_MAX_STEPS": "24", "GRPO_SAVE_STEPS": "5", "GRPO_EVAL_ROWS": "40"}
# Two runs of one seed: vLLM's batches, and so its last bits, may differ; a completion then takes another way.
REWARD_BOUND = 0.3  # of 2.5 that a completion can earn, in the mean of all steps after the cut


@pytest.fixture(scope="module")
def runs_of_all(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One uninterrupted run and one for each moment, side by side; each interrupted one then goes on."""
    outputs = {moment: tmp_path_factory.mktemp(moment.replace(" ", "_")) for moment in ("none", *MOMENTS)}
    running = {"none": runs.start(outputs["none"], SETTINGS)}
    for moment in MOMENTS:
        time.sleep(3)  # vLLM wants the GPU's free memory to stand still while it looks
        running[moment] = runs.start(outputs[moment], SETTINGS, ("-m", "tests.gpu.interrupted", moment))
    with ThreadPoolExecutor() as watchers:
        codes = list(watchers.map(lambda moment: code_and_time(running[moment], outputs[moment]), running))
    for moment, code in zip(running, codes, strict=True):
        assert code == (0 if moment == "none" else 75), runs.said(outputs[moment])
    return outputs


def code_and_time(process: subprocess.Popen[bytes], outputs: Path) -> int:
    """Wait for the end; its moment is left in `ended_at`."""
    code = process.wait(300)
    (outputs / "ended_at").write_text(str(time.time()))
    return code


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_ends_resumable_and_goes_on_to_the_end(moment: str, runs_of_all: dict[str, Path]) -> None:
    outputs = runs_of_all[moment]
    folder = runs.folder(outputs)
    assert not (folder.adapter / "adapter_model.safetensors").exists()
    saved = sorted(int(one.name.split("-")[1]) for one in folder.checkpoints.glob("step-*"))
    again = runs.start(outputs, SETTINGS)
    assert again.wait(300) == 0, runs.said(outputs)
    assert [row["step"] for row in read_jsonl(folder.metrics)] == list(range(1, 25))
    whole = rewards_of(runs.folder(runs_of_all["none"]))
    resumed = rewards_of(folder)
    differences = [abs(ours - theirs) for ours, theirs in zip(resumed, whole, strict=True)]
    cut = saved[-1] if saved else 0
    print(json.dumps({
        "moment": moment, "checkpoints then": saved, "seconds to exit": seconds_to_exit(outputs),
        "steps with equal rewards": sum(not difference for difference in differences),
        "mean reward after the cut": [round(mean(resumed[cut:]), 3), round(mean(whole[cut:]), 3)],
    }))  # fmt: skip
    assert mean(resumed[cut:]) == pytest.approx(mean(whole[cut:]), abs=REWARD_BOUND)


def rewards_of(folder: RunFolder) -> list[float]:
    return [row["reward"] for row in read_jsonl(folder.metrics)]


def seconds_to_exit(outputs: Path) -> float:
    """From the signal to the end of the process that got it."""
    signalled, ended = (float((outputs / name).read_text()) for name in ("signalled_at", "ended_at"))
    return round(ended - signalled, 2)
