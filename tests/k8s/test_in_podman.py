"""The pods of the Jobs, really played by podman with the CPU image that GRPO_TEST_IMAGE names."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.manifests import jobs
from tests.k8s.podman import Kubelet, kubelet

IMAGE = os.environ.get("GRPO_TEST_IMAGE")
SMALL = {"GRPO_RECIPE": "smoke", "GRPO_EVAL_ROWS": "20", "GRPO_SAVE_STEPS": "2"}
STEPS_TO_INTERRUPT = "30"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGE, reason="GRPO_TEST_IMAGE names no CPU image"),
    pytest.mark.skipif(not shutil.which("podman"), reason="podman is not installed"),
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Kubelet]:
    with kubelet(str(IMAGE), tmp_path) as playing:
        yield playing


def the_job(source: str) -> dict[str, Any]:
    (job,) = jobs(source)
    return job


def summary(node: Kubelet, run: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((node.outputs() / run / "summary.json").read_text())
    return loaded


def test_the_smoke_job_runs_as_it_is(node: Kubelet) -> None:
    pod = node.play(the_job("smoke-job.yaml"), {})
    assert node.ended(pod) == 0, node.log(pod)
    assert summary(node, "grpo-smoke")["ending"]["code"] == 0
    assert (node.outputs() / "grpo-smoke/adapter/adapter_model.safetensors").stat().st_size


def test_the_check_passes_and_then_the_job_trains(node: Kubelet) -> None:
    settings = {**SMALL, "GRPO_MAX_STEPS": "3"}
    check = node.play(the_job("check-job.yaml"), settings)
    assert node.ended(check) == 0, node.log(check)
    run = node.play(the_job("job.yaml"), settings)
    assert node.ended(run) == 0, node.log(run)
    assert summary(node, "grpo-gsm8k")["ending"]["code"] == 0
    assert (node.outputs() / "grpo-gsm8k/adapter/adapter_model.safetensors").stat().st_size


@pytest.mark.parametrize("source", ["check-job.yaml", "job.yaml"])
def test_a_bad_value_ends_with_2(source: str, node: Kubelet) -> None:
    pod = node.play(the_job(source), {**SMALL, "GRPO_MAX_STEPS": "0"})
    assert node.ended(pod) == 2
    assert "GRPO_MAX_STEPS" in node.log(pod)


def test_a_pod_deleted_in_mid_training_ends_with_75_and_its_successor_finishes(node: Kubelet) -> None:
    job = the_job("job.yaml")
    settings = {**SMALL, "GRPO_MAX_STEPS": STEPS_TO_INTERRUPT}
    first = node.play(job, settings)
    node.wait_for_steps("grpo-gsm8k", 5)
    grace = job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert node.stop(first, grace) == 75, node.log(first)
    assert summary(node, "grpo-gsm8k")["ending"]["code"] == 75
    node.delete(first)

    second = node.play(job, settings)
    assert node.ended(second) == 0, node.log(second)
    told = summary(node, "grpo-gsm8k")
    assert told["attempts"] == 2
    assert told["steps"]["done"] == int(STEPS_TO_INTERRUPT)
