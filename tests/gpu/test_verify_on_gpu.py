"""A published tree of a trained policy, asked by stock `vllm serve`: as evaluated from each store, and eight faults.

TEST_TREES names two published trees of different runs, parted by a colon, the first with a merged model, and
TEST_MODEL their base; without them the sample is trained.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grpo_job.engines.served import vllm_server
from grpo_job.inputs import sample
from grpo_job.phases import verify
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.stores import open_store
from tests.gpu import runs
from tests.phases import faulty_trees as faults
from tests.servers.fixtures import as_the_door_sets_it  # noqa: F401
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.gpu
MODEL = os.environ.get("TEST_MODEL", "sample")
JUDGED_ALIKE = 0.97  # the least share of rows that another library must judge as vLLM did


@pytest.fixture(autouse=True)
def beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several servers on one GPU: each takes the share that GRPO_VLLM_GPU_MEMORY_UTILIZATION gives."""
    own, share = vllm_server.command, os.environ.get("GRPO_VLLM_GPU_MEMORY_UTILIZATION")
    if share:
        more = ["--gpu-memory-utilization", share, "--kv-cache-memory-bytes", str(4 << 30)]
        monkeypatch.setattr(vllm_server, "command", lambda model, port: [*own(model, port), *more])


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    if given := os.environ.get("TEST_TREES"):
        return [Path(tree) for tree in given.split(":")]
    return [trained(tmp_path_factory.mktemp(f"seed-{seed}"), str(seed)) for seed in (1, 2)]


@pytest.fixture(scope="session")
def whole(trees: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first tree, without the merged model: a fault of the adapter is found without it."""
    tree = tmp_path_factory.mktemp("whole") / "tree"
    shutil.copytree(trees[0], tree, ignore=shutil.ignore_patterns("merged"))
    return tree


def trained(folder: Path, seed: str) -> Path:
    settings = {
        "GRPO_SEED": seed, "GRPO_LORA_SEED": seed, "GRPO_MAX_STEPS": "20", "GRPO_EVAL_ROWS": "100",
        "GRPO_PUBLISH_TO": f"file://{folder}/tree", "GRPO_PUBLISH_MERGED": "true",
    }  # fmt: skip
    assert runs.start(folder, settings).wait(400) == 0, runs.said(folder)
    return folder / "tree"


def verified(place: str | Path, model: str = MODEL, **options: Any) -> dict[str, Any]:
    found = verify.verify(str(place), dict(os.environ), model=model, **{"on_gpu": True, **options})
    print(json.dumps(found))
    return found


def judged_as_reported(found: dict[str, Any]) -> None:
    accuracy = found["accuracy"]
    assert found["faults"] == []
    assert accuracy["judged_alike"] >= JUDGED_ALIKE * found["rows"], accuracy
    assert accuracy["interval"][0] <= accuracy["asked"] <= accuracy["interval"][1], accuracy


def test_a_folder_answers_as_evaluated_and_so_does_its_merged_model(trees: list[Path]) -> None:
    found = verified(f"file://{trees[0]}")
    judged_as_reported(found)
    assert found["merged"]["faults"] == []


def test_transformers_and_peft_judge_it_alike(trees: list[Path]) -> None:
    judged_as_reported(verified(trees[0], on_gpu=False))


@pytest.fixture(params=["hub", "s3", "folder"])
def published(request: pytest.FixtureRequest, whole: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the first tree in each kind of store."""
    with HubServer() as hub, S3Server() as s3:
        s3.client().create_bucket(Bucket="bucket")
        for name, value in {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice"), **s3.environment()}.items():
            monkeypatch.setenv(name, value)
        uri = {"hub": "hf://alice/adapter", "s3": "s3://bucket/adapter", "folder": f"file://{whole}"}[request.param]
        if request.param != "folder":
            open_store(uri, environment=dict(os.environ)).put(whole)
        yield uri


def test_at_each_store_answers_are_those_recorded_or_ties(published: str) -> None:
    found = verified(published, rows=100)
    judged_as_reported(found)
    assert found["adapter"]["unexplained"] == found["base"]["unexplained"] == 0, found


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "zeroed B": (lambda tree: faults.changed(tree, faults.zeroed), "it does nothing"),
    "swapped layers": (lambda tree: faults.changed(tree, faults.swapped), "the adapter answers .* otherwise"),
    "scale alpha halved": (faults.halved, "lora_alpha is"),
    "another template": (faults.other_template, "prompts otherwise"),
    "a module without weights": (
        lambda tree: faults.changed(tree, faults.without("v_proj")), "the adapter answers .* otherwise|not whole",
    ),
    "truncated": (faults.truncated, "no whole safetensors file"),
}  # fmt: skip


def faults_of(tree: Path, model: str = MODEL) -> str:
    return "\n".join(verified(tree, model)["faults"])


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, whole: Path, tmp_path: Path) -> None:
    plant, sentence = PLANTED[fault]
    found = faults_of(faults.planted(whole, tmp_path / "tree", plant))
    assert re.search(sentence, found), found


def test_another_base_is_found(whole: Path, tmp_path: Path) -> None:
    base = faults.other_base(tmp_path / "base", sample.MODEL if MODEL == "sample" else Path(MODEL))
    assert "it is another base" in faults_of(faults.planted(whole, tmp_path / "tree", lambda tree: None), str(base))


def test_the_adapter_of_another_run_is_found(trees: list[Path], whole: Path, tmp_path: Path) -> None:
    def exchange(tree: Path) -> None:
        shutil.copyfile(trees[1] / WEIGHTS, tree / WEIGHTS)

    assert "the adapter answers" in faults_of(faults.planted(whole, tmp_path / "tree", exchange))
